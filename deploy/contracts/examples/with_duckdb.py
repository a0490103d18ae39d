"""Posts and mood of each city's places, and the places that come second most often; nothing is loaded as a whole."""

import duckdb

popular = """
    select city, place, count(*) as posts, round(avg(sentiment), 2) as mood
    from 'labels/*.parquet'
    where place is not null
    group by all
    order by city, posts desc
"""
second = """
    select top[2].place as place, count(*) as posts
    from 'labels/*.parquet'
    group by all
    order by posts desc
    limit 5
"""
print(duckdb.sql(popular))
print(duckdb.sql(second))
