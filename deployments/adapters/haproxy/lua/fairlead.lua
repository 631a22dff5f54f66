-- What one writer may do to this worker, checked and done in one step.
--
-- HAProxy runs this on its single thread, and no function here yields between the check of the fence and the effect.
-- So a writer that lost its lease cannot slip a change in after its successor's: there is no moment between the two.
--
-- The files are written the same way: a writer makes a draft whose name carries its fence, and `install` puts it in place.
-- So a writer that was stopped for long finds itself refused, whatever it was about to do.
--
-- Arguments of `lua-load`: the file of the highest fence; a digest of the routes in the configuration; the configuration;
-- the handover, which returns the state of the worker before; and `reload`, only in a worker that takes it over.

local fence_path, digest, configuration_path, handover_path, is_reloaded = ...

local FULL_WEIGHT = "256"
local TICK_MS = 100
local HOLD_POLL_MS = 20
local WAITERS_PER_MS = 20 -- each waiting request looks less often the more there are: at most 20,000 looks a second
local WITHDRAW_AFTER_MS = 5000 -- the writer who installed it asks for the reload at once, unless something ended it
local LOADED_WITHIN_MS = 5000 -- what is left by then: to listen, and to fork

local state = { fence = 0, is_armed = false, is_retired = false, holds = {}, order = {}, proven = {}, staged = {} }
state.version = 0 -- grows with everything that a handover tells of
state.handle = nil -- { weights = {service -> {instance -> weight}}, fence, deadline_ms, has_fired }
state.handover = nil -- { fence, since_ms, taken_ms }: a file for a reload is in place, and the reload is still to come

local function now_ms()
  local now = core.now() -- monotonic: HAProxy corrects it when the clock of the machine jumps
  return now.sec * 1000 + now.usec // 1000
end

-- The fence on disk ----------------------------------------------------------------------------------------------------

local function read_fence()
  local file = io.open(fence_path, "r")
  if not file then return 0 end
  local text = file:read("a")
  file:close()
  return math.tointeger(tonumber(text)) or 0
end

-- Not forced to the disk: after a loss of power no writer is left that it could refuse, and a lease takes the highest
-- fence of the store, the supervisor and this file.
local function write_fence(fence)
  local temporary = fence_path .. ".new"
  local file = io.open(temporary, "w")
  if not file then return false end
  local is_written = file:write(tostring(fence), "\n")
  local is_closed = file:close()
  return is_written and is_closed and os.rename(temporary, fence_path) and true or false
end

local catch_up -- below

-- A reload is about to replace this worker: whatever it did now would be lost. A writer beside the one that reloads waits.
-- A newer one does not: it withdraws the handover, without which no worker starts. When a new worker took the handover
-- first, everybody waits, for that worker or for the news that it failed.
local function awaits_successor(fence)
  local handover = state.handover
  if not handover then return false end
  if fence == handover.fence and now_ms() - handover.since_ms < WITHDRAW_AFTER_MS then return true end
  if not handover.taken_ms and not os.remove(handover_path) then handover.taken_ms = now_ms() end
  if handover.taken_ms and now_ms() - handover.taken_ms < LOADED_WITHIN_MS then return true end
  state.handover = nil
  return false
end

-- Nil when the writer may go on; otherwise the answer that refuses it.
local function refusal(fence, name)
  if state.is_retired then return "RELOADING" end
  catch_up()
  if not fence then return "MALFORMED fence" end
  if fence < state.fence then
    local handle = state.handle
    if handle and handle.has_fired and fence == handle.fence then return "TRIPPED" end
    return "STALE " .. state.fence
  end
  local is_settling = name == "install" and state.handover and fence == state.handover.fence
  if not is_settling and awaits_successor(fence) then return "RELOADING" end
  if fence > state.fence then
    if not write_fence(fence) then return "DISK" end
    state.fence = fence
  end
  return nil
end

-- Instances and weights ------------------------------------------------------------------------------------------------

-- The servers that a writer was let to enable. A server beside them is one that a writer added and did not come to
-- enable: it stays in maintenance, out of every answer.
local function instances(service)
  local order = state.order[service]
  if not order then return nil end
  local found = {}
  for _, name in ipairs(order) do found[name] = core.backends[service].servers[name] end
  return found
end

-- HAProxy calls a server that was added at run time UP before its first check: it counts as up once a check passed.
local function is_up(service, name, server)
  local stats = server:get_stats()
  local status = tostring(stats["status"])
  if stats["check_status"] == "L4OK" then state.proven[service .. "/" .. name] = true end
  if status:find("^UP") == nil and status:find("^DRAIN") == nil and status ~= "no check" then return false end
  return state.proven[service .. "/" .. name] == true
end

local function parse_weights(text)
  local weights = {}
  for name, weight in (text or ""):gmatch("([^,=]+)=(%d+)") do weights[name] = math.tointeger(tonumber(weight)) end
  return weights
end

-- Make before break: everything that gains weight has it before anything loses any.
local function apply_weights(found, wanted)
  for name, server in pairs(found) do
    if (wanted[name] or 0) > server:get_weight() then server:set_weight(tostring(wanted[name])) end
  end
  for name, server in pairs(found) do
    if (wanted[name] or 0) < server:get_weight() then server:set_weight(tostring(wanted[name] or 0)) end
  end
end

-- Nil when `wanted` keeps the service answering; otherwise the answer that refuses it.
local function outage(service, found, wanted)
  local has_weight, serves, will_have_weight, will_serve = false, false, false, false
  for name, server in pairs(found) do
    local is_server_up = is_up(service, name, server)
    if server:get_weight() > 0 then has_weight, serves = true, serves or is_server_up end
    if (wanted[name] or 0) > 0 then will_have_weight, will_serve = true, will_serve or is_server_up end
  end
  if state.holds[service] or not has_weight then return nil end
  if not will_have_weight then return "EMPTY" end
  if serves and not will_serve then return "DOWN" end
  return nil
end

-- The preview route reaches the instance attached last.
local function aim_preview(service)
  local order = state.order[service]
  local preview = core.backends[service .. ".preview"].servers["newest"]
  local newest = order[#order]
  if not newest then
    preview:set_maint()
    return
  end
  local address, port = core.backends[service].servers[newest]:get_addr():match("^(.*):(%d+)$")
  preview:set_addr(address, tonumber(port))
  preview:set_ready()
end

local function forget_in_order(service, instance)
  for position, name in ipairs(state.order[service]) do
    if name == instance then table.remove(state.order[service], position) break end
  end
end

-- Holding --------------------------------------------------------------------------------------------------------------

-- The gate is a server that is UP while the service is held: the configuration asks for it natively, so a request of a
-- service that is not held never enters Lua.
local function set_gate(service, milliseconds)
  state.holds[service] = milliseconds
  local gate = core.backends[service].servers["_gate"]
  if milliseconds then gate:set_ready() else gate:set_maint() end
end

local waiting = 0

-- Whether the hold ended before the request's time was up.
local function wait_for_release(service)
  local deadline = now_ms() + state.holds[service]
  while state.holds[service] do
    if now_ms() >= deadline then return false end
    core.msleep(HOLD_POLL_MS + waiting // WAITERS_PER_MS)
  end
  return true
end

core.register_action("hold", { "http-req" }, function(txn, service)
  if not state.holds[service] then return end
  waiting = waiting + 1
  local is_released = wait_for_release(service)
  waiting = waiting - 1
  if is_released then return end
  local reply = txn:reply { status = 503, reason = "Service Unavailable" }
  reply:add_header("retry-after", "1")
  txn:done(reply)
end, 1)

-- The dead man's handle ------------------------------------------------------------------------------------------------

-- The controller went silent: traffic goes back without it, and its fence is spent, so that it cannot come back blindly.
-- Traffic goes back even when the disk refuses the new fence.
local function return_traffic()
  local handle = state.handle
  handle.has_fired = true
  if state.handover then os.remove(handover_path) end
  for service, weights in pairs(handle.weights) do
    local found = instances(service)
    local can_return = false
    for name in pairs(found or {}) do can_return = can_return or (weights[name] or 0) > 0 end
    if found then set_gate(service, nil) end
    if can_return then apply_weights(found, weights) end
  end
  core.Warning("fairlead: the handle fired; traffic is back; the fence is " .. state.fence)
end

local function fire()
  state.fence = state.fence + 1
  write_fence(state.fence)
  return_traffic()
end

-- Between the handover and its first moment, the worker before this one could do one thing alone: fire.
catch_up = function()
  if state.has_caught_up then return end
  state.has_caught_up = true
  local fence = read_fence()
  if fence <= state.fence then return end
  state.fence = fence
  if state.handle and not state.handle.has_fired then return_traffic() end
end

-- After a reload the old worker lives until its last connection ends. A client that kept its connection may send it one
-- more request, which must follow the weights of the new worker: the old one sends it there, and decides nothing itself.
local function retire()
  if state.is_retired then return end
  state.is_retired, state.handle, state.handover = true, nil, nil
  for service in pairs(state.order) do
    local servers = core.backends[service].servers
    servers["_successor"]:set_weight(FULL_WEIGHT)
    servers["_successor"]:set_ready()
    for _, server in pairs(instances(service)) do server:set_weight("0") end
    set_gate(service, nil)
  end
end

local function tick()
  if tostring(core.get_info()["Stopping"]) == "1" then retire() end
  if state.is_retired then return end
  catch_up()
  local handle = state.handle
  if handle and not handle.has_fired and now_ms() >= handle.deadline_ms then fire() end
end

core.register_task(function()
  while not state.is_retired do
    core.msleep(TICK_MS)
    local is_fine, problem = pcall(tick)
    if not is_fine then core.Alert("fairlead: " .. tostring(problem)) end
  end
end)

-- Commands -------------------------------------------------------------------------------------------------------------

local commands = {}

function commands.arm(fence)
  state.is_armed = true
  return "OK"
end

function commands.admit(fence)
  return "OK"
end

function commands.weights(fence, service, text)
  local found, wanted = instances(service), parse_weights(text)
  if not found then return "NOROUTE" end
  for name in pairs(wanted) do
    if not found[name] then return "UNKNOWN " .. name end
  end
  local problem = outage(service, found, wanted)
  if problem then return problem end
  apply_weights(found, wanted)
  return "OK"
end

-- A server of this name that listens elsewhere was added by a writer that did not come to enable it.
function commands.enable(fence, service, instance, port)
  if not state.order[service] then return "NOROUTE" end
  local server = core.backends[service].servers[instance]
  if not server then return "UNKNOWN " .. instance end
  if server:get_addr():match(":(%d+)$") ~= port then return "ELSEWHERE" end
  forget_in_order(service, instance)
  table.insert(state.order[service], instance)
  server:set_ready()
  server:check_enable()
  aim_preview(service)
  return "OK"
end

function commands.vouch(fence, service, instance)
  if state.order[service] then state.proven[service .. "/" .. instance] = true end
  return "OK"
end

function commands.quiesce(fence, service, instance)
  local server = state.order[service] and core.backends[service].servers[instance]
  if not server then return "GONE" end
  if server:get_weight() > 0 then return "WEIGHTED" end
  local handle = state.handle
  if handle and not handle.has_fired and ((handle.weights[service] or {})[instance] or 0) > 0 then return "RETURNS" end
  server:set_maint()
  state.proven[service .. "/" .. instance] = nil
  forget_in_order(service, instance)
  aim_preview(service)
  return "OK"
end

function commands.cut(fence, service, instance)
  local server = core.backends[service] and core.backends[service].servers[instance]
  if server then server:shut_sess() end
  return "OK"
end

function commands.hold(fence, service, milliseconds)
  if not state.order[service] then return "NOROUTE" end
  set_gate(service, math.tointeger(tonumber(milliseconds)))
  return "OK"
end

function commands.unhold(fence, service)
  if state.order[service] then set_gate(service, nil) end
  return "OK"
end

-- The weights to return to arrive one service a line, because a command has a longest length; `rearm` puts them in force.
function commands.stage(fence, position, service, text)
  if state.handle and state.handle.has_fired then return "TRIPPED" end
  local found, wanted = instances(service), parse_weights(text)
  if not found then return "NOROUTE" end
  for name in pairs(wanted) do
    if not found[name] then return "UNKNOWN " .. name end
  end
  if position == "1" then state.staged, state.staged_count = {}, 0 end
  state.staged[service], state.staged_count = wanted, (state.staged_count or 0) + 1
  return "OK"
end

function commands.rearm(fence, milliseconds, count)
  if state.handle and state.handle.has_fired then return "TRIPPED" end
  if count == "0" then state.staged, state.staged_count = {}, 0 end
  if count ~= tostring(state.staged_count) then return "UNSTAGED" end -- another writer staged, or a reload came between
  local deadline_ms = now_ms() + math.tointeger(tonumber(milliseconds))
  state.handle = { weights = state.staged, fence = fence, deadline_ms = deadline_ms, has_fired = false }
  state.staged, state.staged_count = {}, nil
  return "OK"
end

function commands.renew(fence, milliseconds)
  if not state.handle then return "DISARMED" end
  if state.handle.has_fired then return "TRIPPED" end
  state.handle.deadline_ms = now_ms() + math.tointeger(tonumber(milliseconds))
  return "OK"
end

function commands.disarm(fence)
  state.handle = nil
  return "OK"
end

-- Put the writer's drafts in place. For a reload, `version` is that of the status which the drafts were made from.
function commands.install(fence, kind, version)
  if kind == "lasting" then
    os.remove(handover_path)
    state.handover = nil
    return os.rename(configuration_path .. "." .. fence, configuration_path) and "OK" or "DISK"
  end
  if version ~= tostring(state.version) then return "CHANGED" end
  if not os.rename(configuration_path .. "." .. fence, configuration_path) then return "DISK" end
  if not os.rename(handover_path .. "." .. fence, handover_path) then return "DISK" end
  state.handover = { fence = fence, since_ms = now_ms() }
  return "OK"
end

-- What a handover does not tell of.
local is_told_by_no_handover = { admit = true, vouch = true, stage = true, install = true, cut = true }

for name, command in pairs(commands) do
  core.register_cli({ "fairlead", name }, "fairlead " .. name .. " <fence> ...", function(applet, _, _, fence, ...)
    local number = math.tointeger(tonumber(fence))
    local answer = (name ~= "arm" and not state.is_armed and not state.is_retired) and "UNARMED" or refusal(number, name)
    -- Requests that an old worker still has are cut by whoever may write now.
    if state.is_retired and name == "cut" then answer = (number or 0) < read_fence() and "STALE " .. read_fence() or nil end
    if not answer and not is_told_by_no_handover[name] then state.version = state.version + 1 end
    applet:send((answer or command(number, ...)) .. "\n")
  end)
end

core.register_cli({ "fairlead", "retire" }, "fairlead retire", function(applet)
  retire()
  applet:send("OK\n")
end)

-- Reading back ---------------------------------------------------------------------------------------------------------

local function weights_line(service, weights)
  local parts = {}
  for name, weight in pairs(weights) do parts[#parts + 1] = name .. "=" .. weight end
  return "handle-weights " .. service .. " " .. table.concat(parts, ",")
end

-- One fact a line. Built whole before it is sent, because sending may yield.
core.register_cli({ "fairlead", "status" }, "fairlead status", function(applet)
  catch_up()
  local lines = { "fence " .. state.fence, "armed " .. (state.is_armed and 1 or 0) }
  lines[#lines + 1] = "routes " .. digest .. " " .. state.version
  local handle = state.handle
  if handle then
    local left = handle.has_fired and 0 or math.max(0, handle.deadline_ms - now_ms())
    lines[#lines + 1] = "handle " .. handle.fence .. " " .. left .. " " .. (handle.has_fired and 1 or 0)
    for service, weights in pairs(handle.weights) do lines[#lines + 1] = weights_line(service, weights) end
  end
  for service, milliseconds in pairs(state.holds) do lines[#lines + 1] = "hold " .. service .. " " .. milliseconds end
  for service, order in pairs(state.order) do
    local found = instances(service)
    lines[#lines + 1] = "service " .. service
    for _, name in ipairs(order) do
      local server = found[name]
      local port = server:get_addr():match(":(%d+)$")
      local words = { "server", service, name, port, server:get_weight(), is_up(service, name, server) and 1 or 0 }
      lines[#lines + 1] = table.concat(words, " ")
    end
  end
  applet:send(table.concat(lines, "\n") .. "\n")
end)

-- Start ----------------------------------------------------------------------------------------------------------------

-- A handover is taken once, and only while its writer is the newest: a reload that somebody asks for late, or twice, is
-- refused here, and the worker that runs goes on.
local function take_handover()
  local taken_path = handover_path .. ".taken"
  if not os.rename(handover_path, taken_path) then error("fairlead: the handover was taken or withdrawn", 0) end
  local before = dofile(taken_path)
  os.remove(taken_path)
  local fence = read_fence()
  if fence > before.fence then
    error("fairlead: fence " .. before.fence .. " of this configuration is older than " .. fence, 0)
  end
  return before
end

local function take_over(before)
  state.fence = math.max(state.fence, before.fence)
  state.is_armed = before.is_armed
  state.holds = before.holds
  local handle = before.handle
  if handle then
    local deadline_ms = now_ms() + handle.remaining_ms
    state.handle =
      { weights = handle.weights, fence = handle.fence, deadline_ms = deadline_ms, has_fired = handle.has_fired }
  end
end

-- The servers of the file are in the order in which they were attached, and HAProxy numbers them so. They count as up
-- until a check says otherwise, as HAProxy itself has it.
core.register_init(function()
  state.fence = read_fence()
  for service, backend in pairs(core.backends) do
    if backend.servers["_gate"] then
      local order = {}
      -- Names that begin with an underscore are the gate and the successor of this configuration, not instances.
      for name in pairs(backend.servers) do
        if name:sub(1, 1) ~= "_" then order[#order + 1] = name end
      end
      table.sort(order, function(one, other)
        return tonumber(backend.servers[one]:get_puid()) < tonumber(backend.servers[other]:get_puid())
      end)
      state.order[service] = order
      for _, name in ipairs(order) do state.proven[service .. "/" .. name] = true end
    end
  end
  -- What was handed over by a worker that is gone by now is taken by nobody.
  if is_reloaded then take_over(take_handover()) else os.remove(handover_path) end
end)
