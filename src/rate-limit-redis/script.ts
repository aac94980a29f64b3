/**
 * Takes a token, by the clock of Redis: the same bucket as in a process (GCRA), one number for each key, which Redis
 * forgets when the bucket is full. What it is told: how long a token takes, and how long a bucket takes to fill, in
 * milliseconds.
 *
 * @returns [1, 0], or [0, how many milliseconds until there is a token].
 */
export const TAKE_TOKEN = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local token, fill = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local after = math.min(full, now + fill) + token
local wait = after - fill - now
if wait > 0.001 then return {0, math.ceil(wait)} end
redis.call('SET', KEYS[1], string.format('%.3f', after), 'PX', math.ceil(after - now))
return {1, 0}
`;
