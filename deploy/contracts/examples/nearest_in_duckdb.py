"""The pictures most like one picture, by their vectors: `python -m consumer export -o vectors --vectors-topic …`."""

import duckdb

nearest = """
    with chosen as (select encoder, image from 'vectors/*.parquet' order by created_at, post_id limit 1)
    select post_id, city, round(list_inner_product(post.image, chosen.image), 3) as cosine  -- they are of unit length
    from 'vectors/*.parquet' as post join chosen using (encoder)
    order by cosine desc, post_id
    limit 5
"""
print(duckdb.sql(nearest))
