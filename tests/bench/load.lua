-- wrk's requests: as many different patients as the first argument says, in turn; the summary as one line of JSON.
local requests, at = {}, 0

function init(arguments)
  for number = 1, tonumber(arguments[1]) do
    local path = string.format("/organization/v1/users/patients/%08x-1111-4111-8111-111111111111", number)
    requests[number] = wrk.format("GET", path)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('\n{"requests": %d, "us": %d, "p50": %d, "p99": %d, "errors": %d}\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
