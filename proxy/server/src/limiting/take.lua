-- Takes tokens out of the bucket of one key, and puts back those that were not used.
--
-- The bucket is kept as how much is missing, in units, and when it was so, in ticks of this
-- server's clock. A tick brings `per_tick` units back and a token has `per_token`, all of them
-- whole and below 2^53, so that nothing is rounded. What cannot be read is as good as nothing;
-- the answer ends with the name of its key then.
local tick_us, per_tick = tonumber(ARGV[1]), tonumber(ARGV[2])
local per_token, capacity = tonumber(ARGV[3]), tonumber(ARGV[4])
local need, wish, back = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

local time = redis.call('TIME')
local now = math.floor((tonumber(time[1]) * 1000000 + tonumber(time[2])) / tick_us)
local missing, unreadable = 0, ''
local held = redis.call('GET', KEYS[1])
if held then
    local amount, at = string.match(held, '^(%d+) (%d+)$')
    if amount then
        -- A clock that was set back brings nothing until it has caught up.
        now, at = math.max(now, tonumber(at)), tonumber(at)
        missing = math.max(0, math.min(capacity, tonumber(amount)) - (now - at) * per_tick - back * per_token)
    else
        unreadable = KEYS[1]
    end
end

local there = math.floor((capacity - missing) / per_token)
if there < need then
    local lacking = need * per_token - (capacity - missing)
    return { 0, there, math.ceil(lacking / per_tick) * tick_us, unreadable }
end
local taken = math.min(wish, there)
missing = missing + taken * per_token
-- Forgotten once it is full again: then a new one is the same.
-- At most 30,000 years: more is no whole number to the server.
local full_in_ms = math.min(math.ceil(missing / per_tick * tick_us / 1000) + 1000, 1e15)
redis.call('SET', KEYS[1], string.format('%.0f %.0f', missing, now), 'PX', full_in_ms)
return { taken, there - taken, 0, unreadable }
