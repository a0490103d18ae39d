-- Puts rebuilt counters in place of the live ones, or forgets what was rebuilt, a number of cities at each call: no call
-- keeps Redis for longer than some milliseconds, and who was killed between two calls is followed by who goes on.
-- KEYS[1]: any key of the slot. ARGV: live prefix, rebuilt prefix, JSON {step, token, most, kinds}; to begin a switch
-- also {topic, offsets} of what was rebuilt. step: forget, forget on, begin, or go on.
-- Returns "more" (call again: forget on, or go on), "done", "another" (`recount` is at work; nothing was done), or to
-- forget "under way": a switch has begun, go on with that first.
-- While it switches, `topic` of the live ones is "switching:<id>", which stops every `count`, and there are no offsets;
-- `topic` of the rebuilt ones is "clearing:<id>" while the live cities go, then "moving:<id>". Few cities take one call.
local live, rebuilt, given = ARGV[1], ARGV[2], cjson.decode(ARGV[3])
local left = given.most

local function others(prefix) -- all that is of no city
  local all, seen = {'offsets', 'stamps', 'known', 'recounted', 'ids', 'ids:of'}, {}
  for _, field in ipairs(redis.call('HKEYS', prefix .. ':known')) do
    seen['known:' .. field:match('%d+$')] = true
  end
  for name in pairs(seen) do
    table.insert(all, name)
  end
  return all
end

local function take(prefix) -- as many cities as are left to this call
  local cities = redis.call('SPOP', prefix .. ':cities', left)
  left = left - #cities
  return cities
end

local function clear(prefix) -- whether no city is left
  for _, city in ipairs(take(prefix)) do
    local keys = {}
    for number, kind in ipairs(given.kinds) do
      keys[number] = prefix .. ':' .. kind .. ':' .. city
    end
    redis.call('UNLINK', unpack(keys))
  end
  return left > 0
end

local function move(name)
  if redis.call('EXISTS', rebuilt .. ':' .. name) == 1 then
    redis.call('RENAME', rebuilt .. ':' .. name, live .. ':' .. name)
  end
end

local topic = redis.call('GET', rebuilt .. ':topic')
local switching = (redis.call('GET', live .. ':topic') or ''):match('^switching:(.*)$')
local under_way = switching and (topic == 'clearing:' .. switching or topic == 'moving:' .. switching)

if given.step == 'forget' or given.step == 'forget on' then
  if given.step == 'forget' then
    if under_way then
      return 'under way'
    end
    for _, name in ipairs(others(rebuilt)) do
      redis.call('UNLINK', rebuilt .. ':' .. name)
    end
    redis.call('SET', rebuilt .. ':topic', 'forgetting:' .. given.token)
  elseif topic ~= 'forgetting:' .. given.token then
    return 'another'
  end
  if not clear(rebuilt) then
    return 'more'
  end
  redis.call('UNLINK', rebuilt .. ':topic')
  return 'done'
end

if given.step == 'begin' then
  if under_way or topic and topic ~= given.topic then
    return 'another'
  end
  local expected = 0
  for field, offset in pairs(given.offsets) do
    expected = expected + 1
    if redis.call('HGET', rebuilt .. ':offsets', field) ~= offset then
      return 'another'
    end
  end
  if redis.call('HLEN', rebuilt .. ':offsets') ~= expected then
    return 'another'
  end
  for _, name in ipairs(others(live)) do
    redis.call('UNLINK', live .. ':' .. name)
  end
  switching = given.topic
  redis.call('SET', live .. ':topic', 'switching:' .. switching)
  topic = 'clearing:' .. switching
  redis.call('SET', rebuilt .. ':topic', topic)
  redis.call('SET', rebuilt .. ':recounted', given.token)
elseif not switching then
  return 'done' -- by whoever went on with it
elseif not under_way then
  return 'another'
end

if topic == 'clearing:' .. switching then
  if not clear(live) then
    return 'more'
  end
  redis.call('SET', rebuilt .. ':topic', 'moving:' .. switching)
end
for _, city in ipairs(take(rebuilt)) do
  for _, kind in ipairs(given.kinds) do
    move(kind .. ':' .. city)
  end
  redis.call('SADD', live .. ':cities', city)
end
if left == 0 then
  return 'more'
end
for _, name in ipairs(others(rebuilt)) do
  move(name)
end
redis.call('SET', live .. ':topic', switching)
redis.call('UNLINK', rebuilt .. ':topic')
return 'done'
