-- Registers applications as fast as they are answered: every request has a key and a borrower of its own.
-- wrk … -s register.lua URL -- PATH TOKEN RUN
local count = 0
local path, token, run

function init(args)
  path, token, run = args[1], args[2], args[3]
end

function request()
  count = count + 1
  local ref = run .. "-" .. count
  local body = '{"external_ref":"' .. ref .. '","channel":"web","branch":"b1","consent":true,'
    .. '"borrower":{"name":"Bear ' .. count .. '","id_number":"11010119900101' .. (1000 + count % 9000)
    .. '","phone":"1380000' .. (1000 + count % 9000) .. '"}}'
  return wrk.format("POST", path, {
    ["Content-Type"] = "application/json",
    ["Authorization"] = "Bearer " .. token,
    ["Idempotency-Key"] = ref,
  }, body)
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "microseconds": %d, "refused": %d, "broken": %d, "p50_us": %d, "p99_us": %d}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(50), latency:percentile(99)))
end
