-- Adds increments and moves offsets: all or nothing, and only if every stored offset is what the caller read from.
-- KEYS: offsets, topic, cities, known, ids, then the hashes that are changed.
-- ARGV[1]: JSON {topic, from, to, known_from, known_to, first, cities, ids, increments}; numbers are text, for Lua's are
-- floating point. first: [key, whether it is emptied first, {city: offset}]; increments: [key, field, amount].
-- Returns {"applied"}, {"offsets", field, offset, ...} with what is stored, {"topic", stored id}, or {"orphaned", key}:
-- counters are there, but no offsets.
local given = cjson.decode(ARGV[1])
local stored_topic = redis.call('GET', KEYS[2])
if stored_topic and stored_topic ~= given.topic then
  return {'topic', stored_topic}
end
local function stands(key, from)
  for field, offset in pairs(from) do
    local stored = redis.call('HGET', key, field)
    if (stored or '') ~= offset then
      return false
    end
  end
  return true
end
if not (stands(KEYS[1], given.from) and stands(KEYS[4], given.known_from)) then
  local all = redis.call('HGETALL', KEYS[1])
  table.insert(all, 1, 'offsets')
  return all
end
if redis.call('EXISTS', KEYS[1]) == 0 then -- then there may be no counter either
  if redis.call('EXISTS', KEYS[3]) == 1 then
    return {'orphaned', KEYS[3]}
  end
  for _, increment in ipairs(given.increments) do
    if redis.call('TYPE', KEYS[increment[1]]).ok == 'hash' then
      return {'orphaned', KEYS[increment[1]]}
    end
  end
end
if #given.ids > 0 then -- neither taken back: added again they change nothing
  local answer = redis.pcall('PFADD', KEYS[5], unpack(given.ids))
  if type(answer) == 'table' and answer.err then
    return redis.error_reply(answer.err .. ' (' .. KEYS[5] .. ')')
  end
end
for _, city in ipairs(given.cities) do
  redis.call('SADD', KEYS[3], city)
end
for _, first in ipairs(given.first) do -- not taken back below: where a city came first is true whatever is counted
  local key, is_emptied, cities = unpack(first)
  if is_emptied then
    redis.call('UNLINK', KEYS[key])
  end
  for city, offset in pairs(cities) do
    redis.call('HSET', KEYS[key], city, offset)
  end
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
for field, offset in pairs(given.known_to) do
  redis.call('HSET', KEYS[4], field, offset)
end
return {'applied'}
