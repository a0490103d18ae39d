-- Puts rebuilt counters in place of the live ones, in one step. A running `count` then sees other offsets and seeks.
-- KEYS[1]: any key of the slot. ARGV: live prefix, rebuilt prefix.
-- The cities are read here, so that one which `count` added this moment is not left behind.
local live, rebuilt = ARGV[1], ARGV[2]
local function names(prefix)
  local all = {'offsets', 'topic', 'stamps', 'cities'}
  for _, city in ipairs(redis.call('SMEMBERS', prefix .. ':cities')) do
    for _, kind in ipairs({'posts', 'sentiment', 'hours'}) do
      table.insert(all, kind .. ':' .. city)
    end
  end
  return all
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
return #new
