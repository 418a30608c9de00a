-- The seven segments for ClickHouse, as bench/peers/duckdb.sql. `kept` differs where sums per person help; what
-- is not there is as from scratch, since events stand in order of (event, time) in any case.

-- scratch s1
SELECT person FROM shop.events
WHERE event = 'Product Viewed' AND time > {now} - 604800000 AND time <= {now}
  AND person NOT IN (SELECT person FROM shop.events
                     WHERE event = 'Order Placed' AND time > {now} - 86400000 AND time <= {now})
GROUP BY person HAVING count() >= 2

-- scratch s2
SELECT DISTINCT c.person
FROM (SELECT person, time FROM shop.events
      WHERE event = 'Cart Started' AND time > {now} - 21600000 AND time <= {now} - 7200000) AS c
ASOF LEFT JOIN (SELECT person, time FROM shop.events
                WHERE event = 'Order Placed' AND time > {now} - 21600000 AND time <= {now}) AS o
  ON c.person = o.person AND c.time <= o.time
WHERE o.time = 0 OR o.time > c.time + 7200000

-- scratch s3
SELECT DISTINCT person FROM shop.events WHERE event = 'Order Placed' AND time > {now} - 1800000 AND time <= {now}

-- scratch s4
SELECT DISTINCT person FROM shop.events
WHERE event = 'Order Placed' AND category = 'cleanser' AND time > {now} - 3456000000 AND time <= {now} - 2160000000

-- scratch s5
SELECT person FROM shop.events WHERE event = 'Order Placed' AND time <= {now}
GROUP BY person
HAVING count() >= 2 AND sum(cents) >= 8000 * count() AND max(time) <= {now} - 7776000000

-- scratch s6
WITH worth AS (
  SELECT person, sum(if(event = 'Order Placed', cents, -cents)) AS net
  FROM shop.events WHERE event IN ('Order Placed', 'Refunded') AND time <= {now}
  GROUP BY person HAVING net > 0)
SELECT person FROM (SELECT person, row_number() OVER (ORDER BY net DESC, person) AS place, count() OVER () AS everybody FROM worth)
WHERE place <= intDiv(everybody + 9, 10)

-- scratch s7
SELECT person FROM shop.events WHERE event = 'Order Placed' AND time <= {now}
GROUP BY person
HAVING count() >= 2 AND max(time) <= {now} - 3888000000
  AND person IN (SELECT person FROM shop.people WHERE tier = 'high')

-- kept s5
SELECT person FROM shop.sums GROUP BY person
HAVING sum(orders) >= 2 AND sum(gross) >= 8000 * sum(orders) AND max(last) <= {now} - 7776000000

-- kept s6
WITH worth AS (SELECT person, sum(net) AS worth_net FROM shop.sums GROUP BY person HAVING worth_net > 0)
SELECT person FROM (SELECT person, row_number() OVER (ORDER BY worth_net DESC, person) AS place, count() OVER () AS everybody FROM worth)
WHERE place <= intDiv(everybody + 9, 10)

-- kept s7
SELECT person FROM shop.sums GROUP BY person
HAVING sum(orders) >= 2 AND max(last) <= {now} - 3888000000
  AND person IN (SELECT person FROM shop.people WHERE tier = 'high')
