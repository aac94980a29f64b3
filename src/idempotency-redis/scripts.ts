import { hash } from "node:crypto";

/**
 * What Redis does in one step, by its own clock. A key's hash has the fields `f` (fingerprint of the request; absent
 * where the claim was released), `t` (token), `l` (end of the lease, in milliseconds since 1970), `n` (who claimed), `o`
 * (1 where it was taken over, else 0), `a` (answer); the key expires by itself. Numbers are written in full: Lua would
 * keep 14 digits of them.
 */
export interface Script {
  readonly source: string;
  readonly sha1: string;
}

function script(body: string): Script {
  const source = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local function whole(number) return string.format('%.0f', math.ceil(number)) end
local held = redis.call('HMGET', KEYS[1], 'f', 't', 'l', 'n', 'o', 'a')
local fingerprint, token, lease, claimant, over, answer = held[1], held[2], held[3], held[4], held[5], held[6]
${body}`;
  return { source, sha1: hash("sha1", source) };
}

/** ARGV: fingerprint, leaseMs, ttlMs, claimant. One who did not hear and asks again gets its own claim. */
export const CLAIM: Script = script(`
if fingerprint then
  if fingerprint ~= ARGV[1] then return {'conflict'} end
  if answer then return {'answered', answer} end
  if claimant == ARGV[4] then return {'claimed', token, over} end
  local left = tonumber(lease) - math.ceil(now)
  if tonumber(lease) > now then return {'running', whole(math.max(left, 1))} end
end
token = whole(math.max((tonumber(token) or 0) + 1, time[1] * 1000000 + time[2]))
over = fingerprint and '1' or '0'
redis.call('HSET', KEYS[1], 'f', ARGV[1], 't', token, 'l', whole(now + ARGV[2]), 'n', ARGV[4], 'o', over)
redis.call('PEXPIRE', KEYS[1], whole(ARGV[2] + ARGV[3]))
return {'claimed', token, over}`);

/** ARGV: token, leaseMs, ttlMs. */
export const RENEW: Script = script(`
if not fingerprint or token ~= ARGV[1] then return 0 end
if not answer then
  redis.call('HSET', KEYS[1], 'l', whole(now + ARGV[2]))
  redis.call('PEXPIRE', KEYS[1], whole(ARGV[2] + ARGV[3]))
end
return 1`);

/** ARGV: token, ttlMs, answer. */
export const COMPLETE: Script = script(`
if not fingerprint or token ~= ARGV[1] then return 0 end
if not answer then
  redis.call('HSET', KEYS[1], 'a', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], whole(ARGV[2] + 0))
end
return 1`);

/** ARGV: token. The token stays as long as the claim would have held, so that the next one has a greater one. */
export const RELEASE: Script = script(`
if not fingerprint or token ~= ARGV[1] or answer then return 0 end
redis.call('HDEL', KEYS[1], 'f', 'n')
redis.call('PEXPIREAT', KEYS[1], lease)
return 1`);
