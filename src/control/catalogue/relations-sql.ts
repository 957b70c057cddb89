/** Functions of PostgreSQL that leave something behind, or run SQL from a string. */
const LEAVING = `'set_config', 'pg_advisory_lock', 'pg_advisory_lock_shared', 'pg_try_advisory_lock',
  'pg_try_advisory_lock_shared', 'setseed', 'query_to_xml', 'query_to_xmlschema', 'query_to_xml_and_xmlschema', 'ts_stat',
  'ts_rewrite'`

/**
 * Functions that something other than functions calls, one row for each such call, as `RelationRow` has it: those of one's own
 * by `pg_depend`; PostgreSQL's own, which are not named there, by the expression trees.
 *
 * What calls a function in C as an operator, cast or type is taken for harmless: it belongs to an extension.
 */
export const CALLS_SQL = `
WITH called AS (
  SELECT d.classid, d.objid, d.objsubid, p.oid AS function, l.lanname NOT IN ('c', 'internal') AS counts
  FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid
  JOIN pg_catalog.pg_language l ON l.oid = p.prolang
  WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.refobjid >= 16384
    AND d.classid <> 'pg_catalog.pg_proc'::pg_catalog.regclass
), leaving AS (
  SELECT ':(funcid|opfuncid) (' || pg_catalog.string_agg(oid::text, '|') || ') ' AS pattern
  FROM pg_catalog.pg_proc WHERE pronamespace = 11 AND proname IN (${LEAVING})
), expressions AS (
  SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass::oid AS classid, oid AS objid, 0 AS objsubid, ev_action::text AS tree
    FROM pg_catalog.pg_rewrite WHERE oid >= 16384
  UNION ALL SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass, oid, 0, adbin::text FROM pg_catalog.pg_attrdef
  UNION ALL SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, oid, 0, conbin::text
    FROM pg_catalog.pg_constraint WHERE conbin IS NOT NULL
  UNION ALL SELECT 'pg_catalog.pg_trigger'::pg_catalog.regclass, oid, 0, tgqual::text
    FROM pg_catalog.pg_trigger WHERE tgqual IS NOT NULL
  UNION ALL SELECT 'pg_catalog.pg_policy'::pg_catalog.regclass, oid, 0, pg_catalog.concat(polqual, polwithcheck)
    FROM pg_catalog.pg_policy
  UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, indexrelid, 0, pg_catalog.concat(indexprs, indpred)
    FROM pg_catalog.pg_index WHERE indexprs IS NOT NULL OR indpred IS NOT NULL
  UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, partrelid, 0, partexprs::text
    FROM pg_catalog.pg_partitioned_table WHERE partexprs IS NOT NULL
  UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, oid, 0, typdefaultbin::text
    FROM pg_catalog.pg_type WHERE typdefaultbin IS NOT NULL
), calls AS (
  SELECT classid, objid, function, counts FROM called
  UNION ALL SELECT classid, objid, NULL, true FROM expressions, leaving WHERE tree ~ pattern
), placed AS (
  SELECT 'writing' AS kind, t.tgrelid AS relation, c.function FROM calls c
    JOIN pg_catalog.pg_trigger t ON c.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = c.objid
    WHERE t.tgenabled <> 'D'
  UNION ALL SELECT 'truncating', t.tgrelid, c.function FROM calls c
    JOIN pg_catalog.pg_trigger t ON c.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = c.objid
    WHERE t.tgenabled <> 'D' AND t.tgtype & 32 <> 0
  UNION ALL SELECT CASE WHEN r.ev_type = '1' THEN 'reading' ELSE 'writing' END, r.ev_class, c.function FROM calls c
    JOIN pg_catalog.pg_rewrite r ON c.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = c.objid
  UNION ALL SELECT CASE WHEN a.attgenerated = 'v' THEN 'reading' ELSE 'writing' END, f.adrelid, c.function FROM calls c
    JOIN pg_catalog.pg_attrdef f ON c.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND f.oid = c.objid
    JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
  UNION ALL SELECT CASE WHEN n.conrelid = 0 THEN 'everything' ELSE 'writing' END, n.conrelid, c.function FROM calls c
    JOIN pg_catalog.pg_constraint n ON c.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND n.oid = c.objid
    WHERE n.conrelid <> 0 OR c.counts
  UNION ALL SELECT 'reading', p.polrelid, c.function FROM calls c
    JOIN pg_catalog.pg_policy p ON c.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND p.oid = c.objid
  UNION ALL SELECT 'writing', coalesce(i.indrelid, c.objid), c.function FROM calls c
    LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.objid
    WHERE c.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
  UNION ALL SELECT 'writing', s.stxrelid, c.function FROM calls c
    JOIN pg_catalog.pg_statistic_ext s ON c.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass AND s.oid = c.objid
  UNION ALL SELECT 'defining', NULL, c.function FROM calls c
    JOIN pg_catalog.pg_event_trigger e ON c.classid = 'pg_catalog.pg_event_trigger'::pg_catalog.regclass AND e.oid = c.objid
    WHERE e.evtenabled <> 'D' AND e.evtevent <> 'login'
  UNION ALL SELECT 'everything', NULL, c.function FROM calls c
    WHERE c.counts AND c.classid <> ALL (ARRAY['pg_catalog.pg_trigger', 'pg_catalog.pg_rewrite', 'pg_catalog.pg_attrdef',
      'pg_catalog.pg_constraint', 'pg_catalog.pg_policy', 'pg_catalog.pg_class', 'pg_catalog.pg_statistic_ext',
      'pg_catalog.pg_event_trigger', 'pg_catalog.pg_language']::pg_catalog.regclass[]::oid[])
)
SELECT DISTINCT p.kind, p.relation::text AS relation, n.nspname::text AS schema, r.relname::text AS name,
  p.function::text AS other
FROM placed p LEFT JOIN pg_catalog.pg_class r ON r.oid = p.relation
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
LIMIT $1`

/** From relations to others that they lead to, as `RelationRow` has it: views, rules and policies, partitions, foreign keys. */
export const LINKS_SQL = `
SELECT DISTINCT l.kind, l.relation::text AS relation, n.nspname::text AS schema, r.relname::text AS name, l.other::text AS other
FROM (
  SELECT 'holds' AS kind, w.ev_class AS relation, d.refobjid AS other FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_rewrite w ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND w.oid = d.objid
    WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> w.ev_class AND d.refobjid >= 16384
  UNION ALL SELECT 'holds', p.polrelid, d.refobjid FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_policy p ON d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND p.oid = d.objid
    WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> p.polrelid
  UNION ALL SELECT 'holds', inhparent, inhrelid FROM pg_catalog.pg_inherits
  UNION ALL SELECT 'cascades', confrelid, conrelid FROM pg_catalog.pg_constraint
    WHERE contype = 'f' AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))
  UNION ALL SELECT 'truncates', confrelid, conrelid FROM pg_catalog.pg_constraint WHERE contype = 'f'
) AS l JOIN pg_catalog.pg_class r ON r.oid = l.relation JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
LIMIT $1`
