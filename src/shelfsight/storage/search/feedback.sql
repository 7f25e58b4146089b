-- name: save
INSERT INTO shelfsight."ScanFeedback" ("ScanId", "UserId", "ProductVariantId", "Verdict", "Rank", "Score",
  "ImageScore", "TextScore", "Confidence", "QueryKind", "ImageModel", "TextModel", "Shown")
VALUES (%(scan_id)s, %(owner)s, %(product)s, %(verdict)s, %(rank)s, %(score)s, %(image_score)s,
  %(text_score)s, %(confidence)s, %(query_kind)s, %(image_model)s, %(text_model)s, %(shown)s)
ON CONFLICT ("ScanId", coalesce("ProductVariantId", '')) DO UPDATE
SET "Verdict" = EXCLUDED."Verdict", "UpdatedAt" = now()
