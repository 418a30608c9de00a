-- The seven segments for DuckDB: the members at {now} (milliseconds), windows (now - w, now], money in cents.
-- scratch: over events, sorted by (event, time). kept: over a table per event name in order of arrival, and
-- sums per person. bench/peers.py gives one statement after the other; a line `-- NAME SEGMENT` begins each.

-- scratch s1
SELECT v.person
FROM (SELECT person FROM events WHERE event = 'Product Viewed' AND time > {now} - 604800000 AND time <= {now}
      GROUP BY person HAVING count(*) >= 2) v
ANTI JOIN (SELECT person FROM events WHERE event = 'Order Placed' AND time > {now} - 86400000 AND time <= {now}) o
  ON o.person = v.person

-- scratch s2
SELECT DISTINCT c.person
FROM (SELECT person, time FROM events WHERE event = 'Cart Started' AND time > {now} - 21600000 AND time <= {now} - 7200000) c
ANTI JOIN (SELECT person, time FROM events WHERE event = 'Order Placed' AND time > {now} - 21600000 AND time <= {now}) o
  ON o.person = c.person AND o.time >= c.time AND o.time <= c.time + 7200000

-- scratch s3
SELECT DISTINCT person FROM events WHERE event = 'Order Placed' AND time > {now} - 1800000 AND time <= {now}

-- scratch s4
SELECT DISTINCT person FROM events
WHERE event = 'Order Placed' AND category = 'cleanser' AND time > {now} - 3456000000 AND time <= {now} - 2160000000

-- scratch s5
SELECT person FROM events WHERE event = 'Order Placed' AND time <= {now}
GROUP BY person
HAVING count(*) >= 2 AND sum(cents) >= 8000 * count(*) AND max(time) <= {now} - 7776000000

-- scratch s6
WITH worth AS MATERIALIZED (
  SELECT person, sum(if(event = 'Order Placed', cents, -cents)) AS net
  FROM events WHERE event IN ('Order Placed', 'Refunded') AND time <= {now}
  GROUP BY person HAVING net > 0)
SELECT person FROM worth ORDER BY net DESC, person LIMIT (SELECT (count(*) + 9) // 10 FROM worth)

-- scratch s7
SELECT o.person
FROM (SELECT person FROM events WHERE event = 'Order Placed' AND time <= {now}
      GROUP BY person HAVING count(*) >= 2 AND max(time) <= {now} - 3888000000) o
SEMI JOIN (SELECT person FROM people WHERE tier = 'high') p ON p.person = o.person

-- kept s1
SELECT v.person
FROM (SELECT person FROM views WHERE time > {now} - 604800000 AND time <= {now} GROUP BY person HAVING count(*) >= 2) v
ANTI JOIN (SELECT person FROM orders WHERE time > {now} - 86400000 AND time <= {now}) o ON o.person = v.person

-- kept s2
SELECT DISTINCT c.person
FROM (SELECT person, time FROM carts WHERE time > {now} - 21600000 AND time <= {now} - 7200000) c
ANTI JOIN (SELECT person, time FROM orders WHERE time > {now} - 21600000 AND time <= {now}) o
  ON o.person = c.person AND o.time >= c.time AND o.time <= c.time + 7200000

-- kept s3
SELECT DISTINCT person FROM orders WHERE time > {now} - 1800000 AND time <= {now}

-- kept s4
SELECT DISTINCT person FROM orders
WHERE category = 'cleanser' AND time > {now} - 3456000000 AND time <= {now} - 2160000000

-- kept s5
SELECT person FROM sums WHERE orders >= 2 AND gross >= 8000 * orders AND last <= {now} - 7776000000

-- kept s6
SELECT person FROM sums WHERE net > 0 ORDER BY net DESC, person
LIMIT (SELECT (count(*) + 9) // 10 FROM sums WHERE net > 0)

-- kept s7
SELECT person FROM sums WHERE orders >= 2 AND last <= {now} - 3888000000 AND high
