-- An in-memory load, an index, joins and updates: the allocator sees pages, cells and parse trees.
PRAGMA cache_size = -200000;
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price REAL, note TEXT);
CREATE TABLE sale(item INTEGER, amount INTEGER, who TEXT);
INSERT INTO item WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
  SELECT i, 'item-' || (i * 7919 % 60000), i * 0.25, hex(zeroblob(i % 90)) FROM n;
INSERT INTO sale WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
  SELECT i * 31 % 60000 + 1, i % 17, 'who-' || (i % 997) FROM n;
CREATE INDEX sale_item ON sale(item);
CREATE INDEX item_name ON item(name);
SELECT count(*), sum(amount * price) FROM sale JOIN item ON item.id = sale.item;
SELECT who, group_concat(item) IS NOT NULL, sum(amount) FROM sale GROUP BY who ORDER BY 3 DESC, 1 LIMIT 5;
UPDATE item SET note = upper(name) || note WHERE id % 3 = 0;
DELETE FROM sale WHERE amount < 5;
SELECT count(*), max(length(note)) FROM item, (SELECT 1);
SELECT name, count(*) c FROM sale JOIN item ON item.id = sale.item GROUP BY name ORDER BY c DESC, name LIMIT 5;
