-- What wrk sends: the same request as plain.yaml.
local file = assert(io.open("body.json"))
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN")
file:close()
