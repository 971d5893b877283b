-- Forgives requests of a quota's period: so many, or all.
local held = redis.call('HMGET', KEYS[1], 'taken', 'epoch')
local taken, epoch = tonumber(held[1]) or tonumber(ARGV[2]), held[2]
if ARGV[1] == 'all' then
    taken, epoch = 0, false
else
    taken = taken - tonumber(ARGV[1])
end
if not epoch then
    local time = redis.call('TIME')
    epoch = time[1] .. string.format('%06d', tonumber(time[2]))
end
redis.call('HSET', KEYS[1], 'taken', string.format('%.0f', taken), 'epoch', epoch)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return taken
