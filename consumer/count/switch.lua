-- Puts rebuilt counters in place of the live ones, in one step. A running `count` then sees other offsets and seeks.
-- KEYS[1]: any key of the slot. ARGV: live prefix, rebuilt prefix, JSON {topic, offsets, kinds} of what was rebuilt.
-- Returns 1, or 0 and changes nothing when something else was rebuilt there: another `recount` is at work.
-- The cities are read here, so that one which `count` added this moment is not left behind.
local live, rebuilt, given = ARGV[1], ARGV[2], cjson.decode(ARGV[3])
local function names(prefix)
  local all = {'offsets', 'topic', 'stamps', 'cities'}
  for _, city in ipairs(redis.call('SMEMBERS', prefix .. ':cities')) do
    for _, kind in ipairs(given.kinds) do
      table.insert(all, kind .. ':' .. city)
    end
  end
  return all
end
local topic = redis.call('GET', rebuilt .. ':topic')
if topic and topic ~= given.topic then
  return 0
end
local expected = 0
for field, offset in pairs(given.offsets) do
  expected = expected + 1
  if redis.call('HGET', rebuilt .. ':offsets', field) ~= offset then
    return 0
  end
end
if redis.call('HLEN', rebuilt .. ':offsets') ~= expected then
  return 0
end
local new = names(rebuilt)
for _, name in ipairs(names(live)) do
  redis.call('DEL', live .. ':' .. name)
end
for _, name in ipairs(new) do
  if redis.call('EXISTS', rebuilt .. ':' .. name) == 1 then
    redis.call('RENAME', rebuilt .. ':' .. name, live .. ':' .. name)
  end
end
return 1
