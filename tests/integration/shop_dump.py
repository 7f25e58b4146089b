"""A dump of all that is the shop's in and around `"ProductEmbeddings"`, to compare two of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from shelfsight.postgres.connection import Connection, Database

OURS = (
    *("ImageEmbedding", "TextEmbedding", "CombinedEmbedding", "ImageUrl", "ImageHash"),
    *("ProductText", "SourceType", "SourceHash", "ModelVersions", "ImageFiles", "UpdatedAt"),
    *("ProductVariantId", "ProductId", "UserId", "Words"),
)
"""The columns of Shelfsight, and one that is generated from them."""

THEIR_ROWS = """
    SELECT to_jsonb(e) FROM "ProductEmbeddings" AS e
    WHERE "SourceHash" IS NULL OR "ProductVariantId" IS NULL ORDER BY "Id"
"""

THEIR_VALUES = """
    SELECT "ProductVariantId"::text, to_jsonb(e) - %s::text[] FROM "ProductEmbeddings" AS e
    WHERE "SourceHash" IS NOT NULL AND "ProductVariantId" IS NOT NULL
"""

CATALOGUE = """
WITH t AS (SELECT * FROM pg_class WHERE oid = '"ProductEmbeddings"'::regclass)
SELECT 'table' AS kind, relnamespace::regnamespace::text AS name,
  jsonb_build_array(relacl::text, reloptions::text, relrowsecurity, relforcerowsecurity,
    relreplident, obj_description(oid, 'pg_class'))::text AS what FROM t
UNION ALL SELECT 'column', attname, jsonb_build_array(format_type(atttypid, atttypmod), attnotnull,
    attidentity, attgenerated, attacl::text, attoptions::text, attstattarget, attstorage,
    pg_get_expr(adbin, adrelid), col_description(attrelid, attnum))::text
  FROM t JOIN pg_attribute ON attrelid = t.oid AND attnum > 0 AND NOT attisdropped
  LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(k.oid)
    || coalesce(obj_description(k.oid, 'pg_constraint'), '')
  FROM t JOIN pg_constraint AS k ON conrelid = t.oid
UNION ALL SELECT 'index', x.relname, pg_get_indexdef(x.oid) || indisvalid || indisclustered
    || indisreplident || coalesce(obj_description(x.oid, 'pg_class'), '')
  FROM t JOIN pg_index AS i ON indrelid = t.oid JOIN pg_class AS x ON x.oid = indexrelid
  WHERE x.relname NOT LIKE 'shelfsight%'
UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(g.oid) || tgenabled::text
    || coalesce(obj_description(g.oid, 'pg_trigger'), '')
  FROM t JOIN pg_trigger AS g ON tgrelid = t.oid AND NOT tgisinternal
UNION ALL SELECT 'policy', policyname, jsonb_build_array(permissive, roles, cmd, qual, with_check,
    obj_description(p.oid, 'pg_policy'))::text
  FROM t JOIN pg_policy AS p ON polrelid = t.oid
  JOIN pg_policies ON policyname = polname AND schemaname = 'public'
UNION ALL SELECT 'statistics', stxname, pg_get_statisticsobjdef(s.oid)
  FROM t JOIN pg_statistic_ext AS s ON stxrelid = t.oid
UNION ALL SELECT 'view', viewname, definition || v.reloptions::text || v.relacl::text
  FROM pg_views JOIN pg_class AS v ON v.relname = viewname WHERE schemaname = 'public'
"""


@dataclass(frozen=True)
class Dump:
    """The shop's rows, its values in our rows by variant, and its definitions."""

    rows: list[object]
    values: dict[str, Mapping[str, object]]
    catalogue: list[tuple[object, ...]]


def dump(database: Database) -> Dump:
    """Read all that is the shop's, and check that its view reads the table in use."""

    def work(connection: Connection) -> Dump:
        views = connection.execute("SELECT FROM pg_views WHERE viewname = 'Shown'").fetchall()
        if views:
            count = 'SELECT (SELECT count(*) FROM "Shown") = (SELECT count(*) FROM {})'
            table = count.replace("{}", '"ProductEmbeddings"')
            assert connection.execute(table.encode()).fetchall() == [(True,)]
        return Dump(
            rows=[row for (row,) in connection.execute(THEIR_ROWS)],
            values=dict(connection.execute(THEIR_VALUES, [list(OURS)]).fetchall()),
            catalogue=sorted(connection.execute(CATALOGUE).fetchall()),
        )

    return database.run(work)


def assert_unchanged(before: Dump, after: Dump, defaults: Mapping[str, object]) -> None:
    """Assert that nothing of the shop's differs.

    A row of ours in which all columns of the shop have their defaults may come and go.
    """
    assert after.rows == before.rows
    assert after.catalogue == before.catalogue
    for variant, values in before.values.items():
        if any(values[name] != value for name, value in defaults.items()):
            assert after.values[variant] == values
    for variant in after.values.keys() - before.values.keys():
        values = after.values[variant]
        usual = {name: value for name, value in defaults.items() if value is not ...}
        assert {name: values[name] for name in usual} == usual
