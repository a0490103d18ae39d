-- Adds increments and moves offsets: all or nothing, and only if every stored offset is what the caller read from.
-- KEYS: offsets, topic, cities, stamps, then the hashes that are incremented.
-- ARGV[1]: JSON {topic, from, to, cities, stamps, increments}; numbers are text, for Lua's are floating point.
-- Returns {"applied"}, {"offsets", field, offset, ...} with what is stored, or {"topic", stored id}.
local given = cjson.decode(ARGV[1])
local stored_topic = redis.call('GET', KEYS[2])
if stored_topic and stored_topic ~= given.topic then
  return {'topic', stored_topic}
end
for field, offset in pairs(given.from) do
  local stored = redis.call('HGET', KEYS[1], field)
  if (stored or '') ~= offset then
    local all = redis.call('HGETALL', KEYS[1])
    table.insert(all, 1, 'offsets')
    return all
  end
end
redis.call('SET', KEYS[2], given.topic)
for field, offset in pairs(given.to) do
  redis.call('HSET', KEYS[1], field, offset)
end
for _, city in ipairs(given.cities) do
  redis.call('SADD', KEYS[3], city)
end
for stamp, posts in pairs(given.stamps) do
  redis.call('HINCRBY', KEYS[4], stamp, posts)
end
for _, increment in ipairs(given.increments) do
  redis.call('HINCRBY', KEYS[increment[1]], increment[2], increment[3])
end
return {'applied'}
