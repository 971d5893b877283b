-- Takes of a window ahead, puts back what was not used, and adds what passed without asking.
--
-- The window is kept as when its period began by this server's clock, how much is taken of it,
-- and how much was taken of the period before, which counts where windows slide. All numbers
-- are whole and below 2^53. What cannot be read is as good as nothing; the answer ends with the
-- name of its key then.
local limit, slides, length = tonumber(ARGV[1]), ARGV[2] == '1', tonumber(ARGV[3])
local need, wish, parts = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local back, epoch, owed = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local held = redis.call('GET', KEYS[1])
local at, taken, before, unreadable = 0, 0, 0, ''
if held then
    local mark, first, second = string.match(held, '^(%d+) (%d+) (%d+)$')
    if mark then
        at, taken, before = tonumber(mark), tonumber(first), tonumber(second)
        -- A clock that was set back stays in the period that it was in.
        now = math.max(now, at)
    else
        unreadable = KEYS[1]
    end
end

local begins = now - now % length
local ends = begins + length
if ARGV[10] then
    -- Periods of the calendar have no one length: these begin around the asker's clock.
    begins, ends = tonumber(ARGV[10]), tonumber(ARGV[11])
    for each = 11, #ARGV - 1 do
        if now >= tonumber(ARGV[each]) then
            begins, ends = tonumber(ARGV[each]), tonumber(ARGV[each + 1])
        end
    end
end
if at < begins then
    before = slides and at + length == begins and taken or 0
    at, taken = begins, 0
end

if epoch == at then
    taken = math.max(0, taken - back)
elseif slides and epoch + length == at then
    before = math.max(0, before - back)
end
taken = taken + owed

-- What counts of the period before, rounded up: in two steps, each of them below 2^53.
local passed = math.max(0, math.min(length, now - begins))
local used = taken
if slides then
    local left = length - passed
    local high = math.floor(before / 65536) * left
    local low = high % length * 65536 + before % 65536 * left
    used = used + math.floor(high / length) * 65536 + math.ceil(low / length)
end

local there = math.max(0, limit - used)
local granted, wait = 0, 0
if there >= need then
    -- Less at a time as it runs out, so that nobody holds for long what others want.
    granted = math.min(wish, math.max(need, math.floor(there / parts)))
elseif slides and need <= limit then
    -- Until no more than `room` counts of `amount`, from when it begins to count less.
    local function fading(amount, room)
        return amount > room and length - math.floor(room * length / amount) or 0
    end
    local room = limit - need
    if taken <= room then
        wait = math.max(1, fading(before, room - taken) - passed)
    else
        wait = length + fading(taken, room) - passed
    end
else
    wait = math.max(1, ends - now)
end

taken = taken + granted
if granted + owed + back > 0 then
    local kept = math.max(1, ends - now) + (slides and length or 0) + 1000
    local count = string.format('%.0f %.0f %.0f', at, taken, before)
    redis.call('SET', KEYS[1], count, 'PX', string.format('%.0f', kept))
end
return { { granted, there - granted, at, math.max(0, ends - now), wait }, unreadable }
