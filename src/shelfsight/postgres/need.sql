-- name: is_made
-- Whether the stored vector in row e was made from this content, by whichever model. A row of
-- shelfsight says from which content, so e is no row of the shop. The result is NULL if there is no
-- row.
(e.{vector} IS NOT NULL
 AND split_part(e."SourceHash", ':', {part}) = split_part({source_hash}, ':', {part}))

-- name: is_current
-- Whether the stored vector in row e was made from this content by this model; NULL as in is_made.
-- A row that names no model counts as made by this model. The parameter holds all identities under
-- which vectors of this model may be stored.
({is_made} AND (e."ModelVersions" ->> {modality} <> ALL({models}::text[])) IS NOT TRUE)

-- name: failed_now
-- Whether row f of "EmbeddingFailures" records a failure of exactly this content.
(f."Stage" = ANY({stages})
 AND split_part(f."SourceHash", ':', {part}) = split_part({source_hash}, ':', {part}))

-- name: need
-- The rule. A current vector is kept. If there is no vector, a failure that waits for its next
-- attempt is kept. Everything else is made again. A current image is checked instead of kept if it
-- is to be checked and can be.
CASE WHEN {may_check} AND {is_current} THEN 'check'
     WHEN {again} IS NOT TRUE
      AND CASE WHEN e.{vector} IS NULL THEN {failed} ELSE {is_current} END THEN 'keep'
     ELSE 'make' END
