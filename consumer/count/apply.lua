-- Adds increments and moves offsets: all or nothing, and only if every stored offset is what the caller read from.
-- KEYS: offsets, topic, cities, then the hashes that are incremented.
-- ARGV[1]: JSON {topic, from, to, cities, increments}; numbers are text, for Lua's are floating point.
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
for _, city in ipairs(given.cities) do
  redis.call('SADD', KEYS[3], city)
end
for number, increment in ipairs(given.increments) do
  local answer = redis.pcall('HINCRBY', KEYS[increment[1]], increment[2], increment[3])
  if type(answer) == 'table' and answer.err then -- somebody wrote no number there; Redis itself takes nothing back
    for done = 1, number - 1 do
      local key, field, amount = unpack(given.increments[done])
      redis.call('HINCRBY', KEYS[key], field, amount:sub(1, 1) == '-' and amount:sub(2) or '-' .. amount)
    end
    return redis.error_reply(answer.err .. ' (' .. KEYS[increment[1]] .. ' ' .. increment[2] .. ')')
  end
end
redis.call('SET', KEYS[2], given.topic)
for field, offset in pairs(given.to) do
  redis.call('HSET', KEYS[1], field, offset)
end
return {'applied'}
