-- name: tables
CREATE SCHEMA goods;
CREATE TABLE goods."Products" (no bigint PRIMARY KEY, label text NOT NULL, story text, cents integer,
  section text, shown boolean NOT NULL DEFAULT true, touched timestamp NOT NULL DEFAULT timezone('UTC', now()));
CREATE TABLE goods.shots (no bigint REFERENCES goods."Products" ON DELETE CASCADE, path text, nth integer)

-- name: rows
INSERT INTO goods."Products" (no, label, cents, section, shown) VALUES (1, 'Red mug', 1250, 'Mugs', true),
  (2, 'Blue cap', 1250, 'Caps', true), (3, 'Green bag - Small', 1250, 'Bags', true),
  (4, 'Green bag - Large', 1250, 'Bags', true), (5, 'Secret sock', 1, 'Socks', false);
INSERT INTO goods.shots SELECT no, lower(split_part(label, ' ', 2)) || '.png', 1 FROM goods."Products"

-- name: edit
UPDATE goods."Products" SET label = 'Scarlet mug', touched = now() AT TIME ZONE 'UTC' WHERE no = 1

-- name: edit_picture
UPDATE goods.shots SET path = 'bag.png' WHERE no = 2

-- name: unpublish
UPDATE goods."Products" SET shown = false WHERE no = 2

-- name: delete
DELETE FROM goods."Products" WHERE no IN (3, 4)

-- name: alter
ALTER TABLE goods."Products" ALTER COLUMN label TYPE varchar(500);
ALTER TABLE goods.shots ALTER COLUMN path TYPE varchar

-- name: preset
-- What the shop writes by itself, in a file.
-- name: ProductVariants
SELECT p.no AS "Id", p.label AS "Title", p.story AS "Description", p.section AS "Category",
  p.cents / 100.0 AS "Price", p.touched AT TIME ZONE 'UTC' AS "UpdatedAt"
FROM goods."Products" AS p WHERE p.shown

-- name: ProductImages
SELECT s.no || ' ' || s.nth AS "Id", s.no AS "ProductVariantId", s.path AS "ImageUrl", s.nth AS "Position"
FROM goods.shots AS s

-- name: changes
VALUES ('goods."Products"', 'label story shown', 'SELECT changed.no'),
  ('goods.shots', 'no path nth', 'SELECT changed.no')
