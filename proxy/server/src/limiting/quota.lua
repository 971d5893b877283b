-- Takes requests of a quota ahead, and puts back those that were not made.
--
-- KEYS[1] is of the period: how many are `taken`, fewer than none where more were forgiven, and
-- its `epoch`, another one each time that it begins anew. KEYS[2] has the requests of each day,
-- which are only shown. All numbers are whole and below 2^53. What cannot be read is as good as
-- nothing; the answer ends with the name of its key then.
local limit, need, wish, parts = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local back, epoch, owed, own = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local kept_ms, day, shown_ms = ARGV[9], ARGV[10], ARGV[11]

local held = redis.call('HMGET', KEYS[1], 'taken', 'epoch')
local is_whole = held[1] and held[2] and string.match(held[1], '^%-?%d+$') and string.match(held[2], '^%d+$')
local taken, current, unreadable = nil, held[2], ''
if is_whole then
    taken = tonumber(held[1]) + owed
    -- What was taken in another epoch is forgiven already.
    if current == epoch then
        taken = taken - back
    end
else
    if held[1] then
        unreadable = KEYS[1]
    end
    -- Whoever comes first brings what it counted by itself, with what it owes.
    taken, back = math.max(own, owed), 0
    local time = redis.call('TIME')
    current = time[1] .. string.format('%06d', tonumber(time[2]))
end

local there = math.max(0, limit - taken)
local granted = 0
if there >= need then
    -- Less at a time as it runs out, so that nobody holds for long what others want.
    granted = math.min(wish, math.max(need, math.floor(there / parts)))
end
redis.call('HSET', KEYS[1], 'taken', string.format('%.0f', taken + granted), 'epoch', current)
redis.call('PEXPIRE', KEYS[1], kept_ms)
local asked = granted + owed - back
if asked ~= 0 then
    redis.call('HINCRBY', KEYS[2], day, string.format('%.0f', asked))
    redis.call('PEXPIRE', KEYS[2], shown_ms)
end
return { granted, there - granted, tonumber(current), unreadable }
