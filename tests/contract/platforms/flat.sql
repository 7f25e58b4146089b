-- name: tables
CREATE TABLE items (code varchar(20) PRIMARY KEY, name varchar(80) NOT NULL, kind varchar(20),
  eur money, photo varchar(200), family varchar(20), changed timestamp DEFAULT timezone('UTC', now()))

-- name: rows
INSERT INTO items (code, name, kind, eur, photo, family) VALUES
  ('MUG', 'Red mug', 'Mugs', 12.50, 'mug.png', 'mug'), ('CAP', 'Blue cap', 'Caps', 12.50, 'cap.png', 'cap'),
  ('BAG-S', 'Green bag - Small', 'Bags', 12.50, 'bag.png', 'bag'),
  ('BAG-L', 'Green bag - Large', 'Bags', 12.50, 'bag.png', 'bag')

-- name: edit
UPDATE items SET name = 'Scarlet mug', changed = now() AT TIME ZONE 'UTC' WHERE code = 'MUG'

-- name: edit_picture
UPDATE items SET photo = 'bag.png' WHERE code = 'CAP'

-- name: unpublish
DELETE FROM items WHERE code = 'CAP'

-- name: delete
DELETE FROM items WHERE code LIKE 'BAG%'

-- name: alter
ALTER TABLE items ALTER COLUMN name TYPE text;
ALTER TABLE items ALTER COLUMN photo TYPE text
