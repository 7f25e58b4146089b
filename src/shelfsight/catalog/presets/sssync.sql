-- name: about
-- The names of Shelfsight itself
-- The tables are read as they are. No views are made, and those of another preset are dropped.

-- name: recognise
VALUES ('ProductVariants', 'Id'), ('ProductImages', 'ProductVariantId'), ('ProductImages', 'ImageUrl')
