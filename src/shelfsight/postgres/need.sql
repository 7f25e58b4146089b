-- name: is_current
-- Whether the stored vector in row e was made of this content by this model. NULL where the row
-- does not say of which content: the shop may have stored that vector itself. A row that names no
-- model is taken for one of this model; it may have several stored identities.
(e.{vector} IS NOT NULL
 AND split_part(e."SourceHash", ':', {part}) = split_part({source_hash}, ':', {part})
 AND (e."ModelVersions" ->> {modality} <> ALL({models}::text[])) IS NOT TRUE)

-- name: failed_now
-- Whether row f of "EmbeddingFailures" records a failure of this very content.
(f."Stage" = ANY({stages})
 AND split_part(f."SourceHash", ':', {part}) = split_part({source_hash}, ':', {part}))

-- name: need
-- The rule. A current vector is kept; where there is none, so is a failure that waits for its next
-- attempt. Everything else is made. Where that is possible, a current image is checked instead.
CASE WHEN {may_check} AND {is_current} THEN 'check'
     WHEN {again} IS NOT TRUE
      AND CASE WHEN e.{vector} IS NULL THEN {failed} ELSE {is_current} END THEN 'keep'
     ELSE 'make' END
