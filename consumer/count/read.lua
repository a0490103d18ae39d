-- Reads hashes as they stand at one moment.
-- KEYS[1]: any key of the slot. ARGV: the prefix, then the hashes' names; with `known` also `known:<partition>`.
-- Returns JSON {topic, recounted, cities: how many, hashes: {name: [field, value, ...]}}; an empty hash is left out.
-- JSON, because clients read one text ten times as fast as a thousand small answers.
local prefix, hashes = ARGV[1], {}
local function read(name)
  local held = redis.call('HGETALL', prefix .. ':' .. name)
  if #held > 0 then
    hashes[name] = held
  end
  return held
end
for number = 2, #ARGV do
  local held = read(ARGV[number])
  if ARGV[number] == 'known' then
    for field = 1, #held, 2 do
      read('known:' .. held[field]:match('%d+$'))
    end
  end
end
return cjson.encode({
  topic = redis.call('GET', prefix .. ':topic'),
  recounted = redis.call('GET', prefix .. ':recounted'),
  cities = redis.call('SCARD', prefix .. ':cities'),
  hashes = hashes,
})
