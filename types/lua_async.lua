---@meta lua_async

---An async runtime for Lua 5.4: futures, tasks, timers, TCP and files on libuv.
---Functions marked "waits" suspend the calling task. Operations that fail return `nil, err`.
---@class lua_async
---@field _VERSION string
local async = {}

---Whatever can be awaited: `f` of `f, ...`.
---@alias lua_async.Awaitable fun(...): ... | lua_async.Future | lua_async.Task

---The second result of an operation that failed; `tostring` makes a sentence of it.
---@class lua_async.Error
---@field code string name of the error: "ECONNREFUSED", "EOF", "ETIMEDOUT", …
---@field errno? integer the system's number for it
---@field message string what it means, in words
---@field op string the operation that failed
---@field path? string the path it was about, the first of two
---@field to? string the second path, of operations that take two
---@field address? string the "host:port" it was about
---@field partial? integer bytes written, or there to read, before it failed
---@field lost? integer messages of a broadcast that were lost
---@field seconds? number how long a timeout was, or a deadline away
---@field task? lua_async.Task the cancelled task that was awaited

-- ---- futures, wakers, tasks ---------------------------------------------------------

---Runs `f(...)` as the root task of a new runtime; returns its results or raises its error. A run that SIGINT
---interrupts raises an error with the code `"EINTR"`; with `sigint = "exit"` the process then ends by SIGINT.
---@param f lua_async.Awaitable
---@param ... any
---@return any ...
---@overload fun(options: { seed?: integer, sigint?: boolean|"exit" }, f: lua_async.Awaitable, ...): ...
function async.run(f, ...) end

---A lazy Future of the call `f(...)`.
---@param f lua_async.Awaitable
---@param ... any
---@return lua_async.Future
function async.future(f, ...) end

---A function whose calls return Futures.
---@param f function
---@return fun(...): lua_async.Future
function async.fn(f) end

---Waits for a Future or a Task, or calls a function in place.
---@param x lua_async.Awaitable
---@return any ...
function async.await(x) end

---A Future by hand: `poll(cx)` returns "pending", or "ready" and the values.
---@param poll fun(cx: lua_async.Context): "pending" | "ready", ...
---@param drop? fun() called when it is given up before it was ready
---@return lua_async.Future
function async.poll_fn(poll, drop) end

---Starts a task that calls `f(...)`, at the executor's next turn.
---@param f lua_async.Awaitable
---@param ... any
---@return lua_async.Task
function async.spawn(f, ...) end

---Waits until the other ready tasks have had a turn.
function async.yield() end

---The Task that runs; nil outside of any.
---@return lua_async.Task?
function async.current() end

---Sets what is called when a task fails and nobody awaits it; nil restores the default.
---@param handler? fun(err: any, traceback: string?, task: lua_async.Task)
---@return function? before
function async.on_error(handler) end

---Whether the error is the one that unwinds the calling task because it was cancelled. It is false for the
---error of awaiting another task that was cancelled.
---@param e any
---@return boolean
function async.is_cancelled(e) end

---Every live task: name, state, what it waits for, where it was spawned, its traceback.
---@return string
function async.dump() end

---@class lua_async.Future
local Future = {}

---Waits; the values of the future, or its error is raised. Once.
---@return any ...
function Future:await() end

---Polls it, from the poll function of another future.
---@param cx lua_async.Context
---@return "pending" | "ready" state
---@return any ...
function Future:poll(cx) end

---What a future is polled with; serves during that poll.
---@class lua_async.Context
local Context = {}

---A waker of the task that polls.
---@return lua_async.Waker
function Context:waker() end

---@class lua_async.Waker
local Waker = {}

---Makes the task be polled again, and uses the waker up.
function Waker:wake() end

---Makes the task be polled again.
function Waker:wake_by_ref() end

---Another waker of the same task.
---@return lua_async.Waker
function Waker:clone() end

---Whether both wake the same task.
---@param other lua_async.Waker
---@return boolean
function Waker:will_wake(other) end

---@class lua_async.Task
---@field id integer 1 for the root task of a run, then one more for each spawned
local Task = {}

---Waits; the results of the task, or what it raised is raised again.
---@return any ...
function Task:await() end

---The results of a task that has ended, or `nil, err` with the code `EAGAIN`.
---@return any ...
function Task:try_await() end

---Asks the task to end: a cancellation error is raised at its await.
---@return boolean asked false when it had ended or been cancelled before
function Task:cancel() end

---@return "ready" | "running" | "waiting" | "done" | "failed" | "cancelled"
function Task:status() end

---Names the task and returns it; without argument, its name.
---@overload fun(self: lua_async.Task): string?
---@param s string
---@return lua_async.Task
function Task:name(s) end

---A function that runs `f` in a runtime of its own with a paused clock, for tests.
---@param f fun(...)
---@return fun(...)
function async.test(f) end

-- ---- composition ----------------------------------------------------------------------

---Waits; the first value of each, in order, or for a table a table of them.
---@param ... lua_async.Awaitable|table<any, lua_async.Awaitable>
---@return any ...
function async.join(...) end

---Waits; the key of the first that is ready, and its values. The others are dropped.
---@param arms table<any, lua_async.Awaitable>
---@return any key
---@return any ...
function async.select(arms) end

---@class lua_async.ScopeOptions
---@field supervise? boolean report tasks that fail to `async.on_error`, and go on (false)

---Waits; the results of `f(scope, ...)` when all tasks of the scope have ended.
---@overload fun(options: lua_async.ScopeOptions, f: fun(scope: lua_async.Scope, ...): ...): ...
---@param f fun(scope: lua_async.Scope, ...): ...
---@param ... any
---@return any ...
function async.scope(f, ...) end

---@class lua_async.Scope
local Scope = {}

---Starts a task that ends before the scope does.
---@param f lua_async.Awaitable
---@param ... any
---@return lua_async.Task
function Scope:spawn(f, ...) end

---@return boolean cancelled
function Scope:cancel() end

---@class lua_async.MapOptions
---@field limit? integer so many at once at the most

---Waits; the first value of `f` for each item, in order.
---@param source any[]|fun(): ...
---@param f fun(...): any
---@param options? lua_async.MapOptions
---@return any[]
function async.map(source, f, options) end

---Waits; the results of `f(...)`, or nil and an error with the code "ETIMEDOUT".
---@param s number seconds
---@param f lua_async.Awaitable
---@param ... any
---@return any ...
function async.timeout(s, f, ...) end

---As timeout, at a time of `async.now`.
---@param t number seconds
---@param f lua_async.Awaitable
---@param ... any
---@return any ...
function async.deadline(t, f, ...) end

---Waits; the results of `f(...)`, which no cancellation from outside disturbs.
---@param f lua_async.Awaitable
---@param ... any
---@return any ...
function async.shield(f, ...) end

---A value for a `<close>` variable: calls `f(...)` when the scope is left.
---@param f fun(...)
---@param ... any
---@return lua_async.Deferred
function async.defer(f, ...) end

---@class lua_async.Deferred
local Deferred = {}

---Makes the call now.
---@return true
function Deferred:close() end

---The call will not be made; whether it was still to come.
---@return boolean
function Deferred:cancel() end

---@class lua_async.RetryOptions
---@field tries? number how often `f` is called at most (5)
---@field base? number seconds to wait after the first try, twice as many after each other (0.1)
---@field max? number seconds to wait at most (30)
---@field jitter? boolean wait a random part of that time (true)
---@field when? fun(err: any, tries: integer): boolean|number|nil whether to try again, or in how many seconds

---Waits; calls `f()` until it does not fail with an error object, and returns what it returns.
---@param f fun(): ...
---@param options? lua_async.RetryOptions
---@return any ...
function async.retry(f, options) end

---The library coroutine, through which an await passes.
---@class lua_async.coroutine
async.coroutine = {}

---@param f function
---@return thread
function async.coroutine.create(f) end

---@param co thread
---@param ... any
---@return boolean ok
---@return any ...
function async.coroutine.resume(co, ...) end

---@param f function
---@return fun(...): ...
function async.coroutine.wrap(f) end

---@param ... any
---@return any ...
function async.coroutine.yield(...) end

---@param co thread
---@return boolean ok
---@return any err
function async.coroutine.close(co) end

---@param co thread
---@return "running" | "suspended" | "normal" | "dead"
function async.coroutine.status(co) end

---@return thread running
---@return boolean main
function async.coroutine.running() end

---@param co? thread
---@return boolean
function async.coroutine.isyieldable(co) end

-- ---- time -----------------------------------------------------------------------------

---@class lua_async.time
async.time = {}

---Waits.
---@param s number seconds
function async.sleep(s) end

---Waits.
---@param s number seconds
function async.time.sleep(s) end

---Waits until `async.now()` is `t`.
---@param t number seconds
function async.time.sleep_until(t) end

---Seconds of a monotonic clock.
---@return number
function async.now() end

---Seconds of a monotonic clock.
---@return number
function async.time.now() end

---Stops the clock of this run; when every task waits, it jumps to the next timer.
---@return boolean changed
function async.time.pause() end

---Waits a turn. Moves the paused clock; those who were due have run when it returns.
---@param s number seconds
function async.time.advance(s) end

---Lets a paused clock run on.
---@return boolean changed
function async.time.resume() end

---Waits until a descriptor of another library is ready; which way it is.
---@param fd integer|table|userdata a descriptor, or an object with a method `fd`, `getfd` or `pollfd`
---@param events "r"|"w"|"rw"
---@return "r"|"w"|"rw"|nil
---@return lua_async.Error?
function async.poll_fd(fd, events) end

---@class lua_async.LoopOptions
---@field seed? integer
---@field luv? boolean on luv's uv_loop_t, which uv.run drives

---A runtime that the host drives.
---@param options? lua_async.LoopOptions
---@return lua_async.Loop?
---@return lua_async.Error?
function async.loop(options) end

---@class lua_async.Loop
local Loop = {}

---Starts a task, in the next turn.
---@param f lua_async.Awaitable
---@param ... any
---@return lua_async.Task
function Loop:spawn(f, ...) end

---One turn, without blocking.
---@return boolean alive tasks live
function Loop:turn() end

---The descriptor to watch for readability.
---@return integer
function Loop:fd() end

---Seconds until it wants a turn at the latest.
---@return number?
function Loop:timeout() end

---Every live task, for people.
---@return string
function Loop:dump() end

---Cancels every task, and returns when all have unwound.
---@return true
function Loop:close() end

---@class lua_async.IntervalOptions
---@field missed? "skip"|"burst"|"delay"

---@class lua_async.Interval
---@overload fun(): number?, integer?
local Interval = {}

---An iterator of ticks: the time each was due, and how many were missed.
---@param s number seconds
---@param options? lua_async.IntervalOptions
---@return lua_async.Interval
---@return nil
---@return nil
---@return lua_async.Interval
function async.time.interval(s, options) end

---A tick that is due: when that was, and how many were missed. `nil, err` with the code EAGAIN if none is.
---@return number?
---@return integer|lua_async.Error?
function Interval:try_tick() end

---The next tick is a period from now.
function Interval:reset() end

---No tick comes any more.
function Interval:close() end

---`async.timeout`.
---@param s number seconds
---@param f lua_async.Awaitable
---@param ... any
---@return any ...
function async.time.timeout(s, f, ...) end

-- ---- sync -----------------------------------------------------------------------------

---@class lua_async.sync
async.sync = {}

---A channel between tasks.
---@param n integer | number how many values it holds; 0: a rendezvous, math.huge: no limit
---@return lua_async.Sender tx
---@return lua_async.Receiver rx
function async.channel(n) end

---A channel between tasks.
---@param n integer | number how many values it holds; 0: a rendezvous, math.huge: no limit
---@return lua_async.Sender tx
---@return lua_async.Receiver rx
function async.sync.channel(n) end

---A channel for one value.
---@return lua_async.OneshotSender tx
---@return lua_async.Receiver rx
function async.sync.oneshot() end

---Every receiver gets every message; the newest `n` are kept.
---@param n integer
---@return lua_async.BroadcastSender tx
function async.sync.broadcast(n) end

---A value that changes.
---@param v any not nil
---@return lua_async.WatchSender tx
---@return lua_async.WatchReceiver rx
function async.sync.watch(v) end

---@return lua_async.Mutex
function async.sync.mutex() end

---@return lua_async.RwLock
function async.sync.rwlock() end

---@param n integer permits
---@return lua_async.Semaphore
function async.sync.semaphore(n) end

---@return lua_async.Notify
function async.sync.notify() end

---@param n integer at least 1
---@return lua_async.Barrier
function async.sync.barrier(n) end

---Runs `f` once, whoever calls it; an error is the caller's, and the next tries again.
---@param f fun(...): ...
---@return lua_async.Once
function async.sync.once(f) end

---@class lua_async.Sender
local Sender = {}

---Waits for room.
---@param v any not nil
---@return true?
---@return lua_async.Error?
function Sender:send(v) end

---@param v any not nil
---@return true?
---@return lua_async.Error?
function Sender:try_send(v) end

---@return lua_async.Sender?
---@return lua_async.Error?
function Sender:clone() end

---@return true
function Sender:close() end

---@class lua_async.Receiver
---@overload fun(): any?, lua_async.Error?
local Receiver = {}

---Waits for a value; nil at the end.
---@return any?
---@return lua_async.Error?
function Receiver:recv() end

---@return any?
---@return lua_async.Error?
function Receiver:try_recv() end

---Waits; a list of 1 to `max` messages: those that are available, and those that come within `seconds` (0)
---after the first. nil at the end.
---@param max integer
---@param seconds? number
---@return any[]?
---@return lua_async.Error?
function Receiver:recv_many(max, seconds) end

---@return lua_async.Receiver?
---@return lua_async.Error?
function Receiver:clone() end

---@return true
function Receiver:close() end

---@class lua_async.OneshotSender
local OneshotSender = {}

---@param v any not nil
---@return true?
---@return lua_async.Error?
function OneshotSender:send(v) end

---@return true
function OneshotSender:close() end

---@class lua_async.BroadcastSender
local BroadcastSender = {}

---@param v any not nil
---@return integer? receivers that get it
---@return lua_async.Error?
function BroadcastSender:send(v) end

---@return lua_async.BroadcastReceiver?
---@return lua_async.Error?
function BroadcastSender:subscribe() end

---@return integer
function BroadcastSender:receivers() end

---@return true
function BroadcastSender:close() end

---@class lua_async.BroadcastReceiver
---@overload fun(): any?, lua_async.Error?
local BroadcastReceiver = {}

---Waits for a message; nil at the end; "EOVERFLOW" and `lost` after a loss.
---@return any?
---@return lua_async.Error?
function BroadcastReceiver:recv() end

---@return any?
---@return lua_async.Error?
function BroadcastReceiver:try_recv() end

---@return true
function BroadcastReceiver:close() end

---@class lua_async.WatchSender
local WatchSender = {}

---@param v any not nil
---@return true?
---@return lua_async.Error?
function WatchSender:send(v) end

---@return any
function WatchSender:get() end

---@return lua_async.WatchReceiver?
---@return lua_async.Error?
function WatchSender:subscribe() end

---@return integer
function WatchSender:receivers() end

---@return true
function WatchSender:close() end

---@class lua_async.WatchReceiver
---@overload fun(): any?, lua_async.Error?
local WatchReceiver = {}

---As `recv`, but `nil, err` with the code EAGAIN when it would have to wait.
---@return any?
---@return lua_async.Error?
function WatchReceiver:try_recv() end

---As `changed`, but `nil, err` with the code EAGAIN when it would have to wait.
---@return true?
---@return lua_async.Error?
function WatchReceiver:try_changed() end

---The value, which counts as seen.
---@return any?
---@return lua_async.Error?
function WatchReceiver:get() end

---@return boolean
function WatchReceiver:has_changed() end

---Waits for a value unseen; nil at the end.
---@return true?
---@return lua_async.Error?
function WatchReceiver:changed() end

---Waits for a value unseen, and returns it; nil at the end.
---@return any?
---@return lua_async.Error?
function WatchReceiver:recv() end

---@return lua_async.WatchReceiver?
---@return lua_async.Error?
function WatchReceiver:clone() end

---@return true
function WatchReceiver:close() end

---@class lua_async.Mutex
local Mutex = {}

---Waits.
---@return lua_async.Guard?
---@return lua_async.Error?
function Mutex:lock() end

---@return lua_async.Guard?
---@return lua_async.Error?
function Mutex:try_lock() end

---Waits for the lock, and calls `f(...)` while holding it.
---@param f lua_async.Awaitable
---@param ... any
---@return any ...
function Mutex:with(f, ...) end

---@return true
function Mutex:close() end

---@class lua_async.Guard
local Guard = {}

---@return true
function Guard:unlock() end

---@return true
function Guard:close() end

---@class lua_async.RwLock
local RwLock = {}

---Waits.
---@return lua_async.Guard?
---@return lua_async.Error?
function RwLock:read() end

---Waits.
---@return lua_async.Guard?
---@return lua_async.Error?
function RwLock:write() end

---@return lua_async.Guard?
---@return lua_async.Error?
function RwLock:try_read() end

---@return lua_async.Guard?
---@return lua_async.Error?
function RwLock:try_write() end

---@return true
function RwLock:close() end

---@class lua_async.Semaphore
local Semaphore = {}

---Waits for all of them.
---@param k? integer default 1
---@return lua_async.Permit?
---@return lua_async.Error?
function Semaphore:acquire(k) end

---@param k? integer default 1
---@return lua_async.Permit?
---@return lua_async.Error?
function Semaphore:try_acquire(k) end

---@param n integer
---@return lua_async.Semaphore
function Semaphore:add_permits(n) end

---@return integer
function Semaphore:available() end

---@return true
function Semaphore:close() end

---@class lua_async.Permit
local Permit = {}

---@return true
function Permit:release() end

---The permits do not come back.
---@return true
function Permit:forget() end

---@return true
function Permit:close() end

---@class lua_async.Notify
local Notify = {}

---Waits to be notified.
---@return true?
---@return lua_async.Error?
function Notify:wait() end

---@return true?
---@return lua_async.Error?
function Notify:try_wait() end

---Wakes the first who waits, or is kept for the next.
---@return true?
---@return lua_async.Error?
function Notify:notify_one() end

---Wakes all who wait.
---@return true?
---@return lua_async.Error?
function Notify:notify_all() end

---@return true
function Notify:close() end

---@class lua_async.Barrier
local Barrier = {}

---Waits until `n` tasks do.
---@return boolean? leader
---@return lua_async.Error?
function Barrier:wait() end

---@return true
function Barrier:close() end

---@class lua_async.Once
---@overload fun(...): ...
local Once = {}

---@return true
function Once:close() end

-- ---- streams ----------------------------------------------------------------------------

---"l" a line, "L" with its end, "n" a numeral, "a" all, or at most that many bytes.
---@alias lua_async.Format "l" | "L" | "n" | "a" | integer

---What connections and files share. One reader and one writer may wait at once.
---Also what C modules and parts make of their own.
---@class lua_async.Stream
local Stream = {}

---Waits; nil at the end.
---@param ... lua_async.Format
---@return string | number | nil
---@return any ...
function Stream:read(...) end

---Waits for exactly `n` bytes; nil at the end, "EOF" in the middle.
---@param n integer
---@return string?
---@return lua_async.Error?
function Stream:read_exact(n) end

---Waits for bytes up to and with the delimiter.
---@param delimiter string
---@param max? integer more bytes than that are "ENOBUFS"
---@return string?
---@return lua_async.Error?
function Stream:read_until(delimiter, max) end

---An iterator of `read(...)`; with `{ raise = true }` as the last argument a failure is raised in the loop.
---@param ... lua_async.Format | { raise?: boolean }
---@return fun(): string | number | nil, ...
function Stream:lines(...) end

---What is there, at most `max` bytes, without waiting; nil at the end, "EAGAIN" when nothing is there.
---@param max integer
---@return string?
---@return lua_async.Error?
function Stream:try_read(max) end

---Writes what is accepted at once; "EAGAIN" when nothing is.
---@param ... string | number
---@return integer? bytes that were accepted
---@return lua_async.Error?
function Stream:try_write(...) end

---A timeout for each operation on this stream that has to wait; without an argument, the present one.
---@overload fun(self: self): number?
---@param seconds number | false | nil nil or false: none
---@return self
function Stream:timeout(seconds) end

---Waits until all of it is accepted.
---@param ... string | number
---@return self?
---@return lua_async.Error? err with `partial`
function Stream:write(...) end

---Waits until what was written is with the system; on a connection only a byte of a cancelled write may not
---be yet.
---@return self?
---@return lua_async.Error?
function Stream:flush() end

---Closes it; twice is harmless. Of a file: waits.
---@return true?
---@return lua_async.Error?
function Stream:close() end

---Waits; bytes from one stream to another, until its end or `n` of them. After a cancelled one `flush` a
---connection before it is closed.
---@param from lua_async.Stream
---@param to lua_async.Stream
---@param n? integer
---@return integer? bytes
---@return lua_async.Error? err with `partial`
function async.copy(from, to, n) end

---Waits; both ways at once: a proxy.
---@param a lua_async.Stream
---@param b lua_async.Stream
---@return integer? from_a bytes that went from a to b
---@return integer | lua_async.Error from_b
function async.copy_both(a, b) end

---@class lua_async.StandardStream: lua_async.Stream
local StandardStream = {}

---It is a terminal.
---@return boolean
function StandardStream:isatty() end

---Of the terminal.
---@return integer? columns
---@return integer | lua_async.Error rows
function StandardStream:size() end

---Each key as it is typed, until the run ends.
---@param on? boolean default true
---@return true?
---@return lua_async.Error?
function StandardStream:raw(on) end

---Its descriptor: 0, 1 or 2.
---@return integer
function StandardStream:fd() end

---@type lua_async.StandardStream
async.stdin = nil
---@type lua_async.StandardStream
async.stdout = nil
---@type lua_async.StandardStream
async.stderr = nil

-- ---- net --------------------------------------------------------------------------------

---@class lua_async.net
async.net = {}

---@class lua_async.ConnectOptions
---@field nodelay? boolean default true
---@field keepalive? integer seconds, 0 for none (the default)
---@field bind? string a numeric address of this machine

---@class lua_async.ListenOptions
---@field backlog? integer default 4096
---@field reuseport? boolean several sockets share the port
---@field ipv6only? boolean
---@field nodelay? boolean of what it accepts; default true
---@field keepalive? integer of what it accepts; seconds, 0 for none (the default)

---Waits; a connection to the first address of `host` that answers.
---@param host string name or numeric address, not empty
---@param port integer
---@param options? lua_async.ConnectOptions
---@return lua_async.Connection?
---@return lua_async.Error?
function async.net.connect(host, port, options) end

---Waits for the name to be resolved; a listener.
---@param host string? nil or "*" for all addresses
---@param port integer 0: the system chooses
---@param options? lua_async.ListenOptions
---@return lua_async.Listener?
---@return lua_async.Error?
function async.net.listen(host, port, options) end

---@class lua_async.Listener
local Listener = {}

---Waits for a connection.
---@return lua_async.Connection?
---@return lua_async.Error?
function Listener:accept() end

---A connection that is there already; "EAGAIN" when none is.
---@return lua_async.Connection?
---@return lua_async.Error?
function Listener:try_accept() end

---An iterator of `accept`, until the listener is closed.
---@param options? { raise?: boolean }
---@return fun(): lua_async.Connection?, lua_async.Error?
function Listener:incoming(options) end

---@return string? host
---@return integer | lua_async.Error | nil port
function Listener:address() end

---@return true
function Listener:close() end

---Its descriptor.
---@return integer?
---@return lua_async.Error?
function Listener:fd() end

---@class lua_async.ResolveOptions
---@field family? "ipv4" | "ipv6" default: both

---Waits; the numeric addresses of a name, in the system's order.
---@param name string name or numeric address, not empty
---@param options? lua_async.ResolveOptions
---@return string[]?
---@return lua_async.Error?
function async.net.resolve(name, options) end

---Waits; the name of a numeric address.
---@param address string
---@return string?
---@return lua_async.Error?
function async.net.reverse(address) end

---@class lua_async.UDPOptions
---@field reuseport? boolean several sockets share the port
---@field reuseaddr? boolean several listeners to one group share it
---@field broadcast? boolean it may send to broadcast addresses
---@field ipv6only? boolean
---@field ttl? integer 1 to 255
---@field recv_buffer? integer bytes
---@field send_buffer? integer bytes

---Waits for the name to be resolved; a bound UDP socket.
---@param host string? nil or "*" for all addresses
---@param port integer? 0 or nil: the system chooses
---@param options? lua_async.UDPOptions
---@return lua_async.UDPSocket?
---@return lua_async.Error?
function async.net.udp(host, port, options) end

---@alias lua_async.Datagram { data: string, host: string?, port: integer?, truncated: true? }

---@class lua_async.UDPSocket
local UDPSocket = {}

---Waits if it must; sends one datagram, whole.
---@param data string
---@param host? string numeric or name; without it: to the peer it is connected to
---@param port? integer
---@return lua_async.UDPSocket?
---@return lua_async.Error?
function UDPSocket:send(data, host, port) end

---Waits if it must; sends all, to numeric addresses or the peer. On failure err.partial were sent.
---@param list lua_async.Datagram[]
---@return lua_async.UDPSocket?
---@return lua_async.Error?
function UDPSocket:send_many(list) end

---Waits for a datagram.
---@param max? integer bytes to keep of it
---@return string? data
---@return string | lua_async.Error | nil host
---@return integer? port
---@return true? truncated it was longer
function UDPSocket:recv(max) end

---Waits for at least one datagram.
---@param n? integer at most so many; default 64
---@return lua_async.Datagram[]?
---@return lua_async.Error?
function UDPSocket:recv_many(n) end

---A datagram that is there already; "EAGAIN" when none is.
---@param max? integer bytes to keep of it
---@return string? data
---@return string | lua_async.Error | nil host
---@return integer? port
---@return true? truncated it was longer
function UDPSocket:try_recv(max) end

---Sends one datagram without waiting; "EAGAIN" when the system's buffer is full.
---@param data string
---@param host? string numeric
---@param port? integer
---@return self?
---@return lua_async.Error?
function UDPSocket:try_send(data, host, port) end

---An iterator of `recv`, until the socket is closed.
---@param options? { raise?: boolean }
---@return fun(): string?, string | lua_async.Error | nil, integer?, true?
function UDPSocket:incoming(options) end

---Waits for the name to be resolved; sends to that address, and receives only from there.
---@param host string
---@param port integer
---@return lua_async.UDPSocket?
---@return lua_async.Error?
function UDPSocket:connect(host, port) end

---@return true?
---@return lua_async.Error?
function UDPSocket:disconnect() end

---Receives what is sent to a multicast group.
---@param group string numeric address
---@param interface? string its name, or one of its addresses
---@return true?
---@return lua_async.Error?
function UDPSocket:join(group, interface) end

---@param group string numeric address
---@param interface? string as it was joined
---@return true?
---@return lua_async.Error?
function UDPSocket:leave(group, interface) end

---Where it sends to groups.
---@param interface string a name, or an address
---@return true?
---@return lua_async.Error?
function UDPSocket:multicast_interface(interface) end

---@param n integer 0 to 255
---@return true?
---@return lua_async.Error?
function UDPSocket:multicast_ttl(n) end

---@param on? boolean default true
---@return true?
---@return lua_async.Error?
function UDPSocket:multicast_loop(on) end

---@param n integer 1 to 255
---@return true?
---@return lua_async.Error?
function UDPSocket:ttl(n) end

---@param on? boolean default true
---@return true?
---@return lua_async.Error?
function UDPSocket:broadcast(on) end

---@return string? host
---@return integer | lua_async.Error | nil port
function UDPSocket:address() end

---The address it is connected to.
---@return string? host
---@return integer | lua_async.Error | nil port
function UDPSocket:peer() end

---Its descriptor.
---@return integer?
---@return lua_async.Error?
function UDPSocket:fd() end

---@return true
function UDPSocket:close() end

---@class lua_async.ListenUnixOptions
---@field backlog? integer default 4096
---@field mode? integer permissions of the socket file; default: as the umask has it

---Waits while the backlog is full; a connection to a Unix socket.
---@param path string with a zero byte in front: a name of Linux's abstract kind
---@return lua_async.UnixConnection?
---@return lua_async.Error?
function async.net.connect_unix(path) end

---A listener on a Unix socket; a socket file that nobody listens to any more is replaced.
---@param path string
---@param options? lua_async.ListenUnixOptions
---@return lua_async.Listener?
---@return lua_async.Error?
function async.net.listen_unix(path, options) end

---The object for a descriptor from elsewhere, which it owns from then on. No object of this run may
---have it already.
---@param fd integer
---@return lua_async.Connection | lua_async.UnixConnection | lua_async.Listener | lua_async.Pipe | nil
---@return lua_async.Error?
function async.net.from_fd(fd) end

---@class lua_async.UnixConnection: lua_async.Stream
local UnixConnection = {}

---The path of the other side; "" when it has none, as clients mostly.
---@return string?
---@return lua_async.Error?
function UnixConnection:peer() end

---The path of this side.
---@return string?
---@return lua_async.Error?
function UnixConnection:address() end

---Who is at the other end.
---@return { pid: integer?, uid: integer, gid: integer }?
---@return lua_async.Error?
function UnixConnection:credentials() end

---Waits; passes a descriptor on, with one zero byte.
---@param x integer | table a descriptor, or an object with a method `fd`
---@return true?
---@return lua_async.Error?
function UnixConnection:send_fd(x) end

---Waits for a byte, and takes the descriptor that came with it: it is yours to close.
---@return integer?
---@return lua_async.Error?
function UnixConnection:recv_fd() end

---The oldest descriptor that came with bytes that were read; nil: none.
---@return integer?
---@return lua_async.Error?
function UnixConnection:take_fd() end

---Waits; ends the sending half.
---@param half? "send"
---@return true?
---@return lua_async.Error?
function UnixConnection:shutdown(half) end

---Its descriptor.
---@return integer?
---@return lua_async.Error?
function UnixConnection:fd() end

---@class lua_async.Connection: lua_async.Stream
local Connection = {}

---Its descriptor.
---@return integer?
---@return lua_async.Error?
function Connection:fd() end

---The other side.
---@return string? host
---@return integer | lua_async.Error port
function Connection:peer() end

---This side.
---@return string? host
---@return integer | lua_async.Error port
function Connection:address() end

---@param on? boolean default true
---@return true?
---@return lua_async.Error?
function Connection:nodelay(on) end

---@param seconds integer | false from 1 to 32767
---@return true?
---@return lua_async.Error?
function Connection:keepalive(seconds) end

---Waits; ends the sending half.
---@param half? "send"
---@return true?
---@return lua_async.Error?
function Connection:shutdown(half) end

-- ---- fs -----------------------------------------------------------------------------------

---@class lua_async.fs
async.fs = {}

---@alias lua_async.FileType "file" | "directory" | "link" | "fifo" | "socket" | "char" | "block" | "unknown"

---@class lua_async.Stat
---@field type lua_async.FileType
---@field size integer bytes
---@field mode integer permission bits
---@field uid integer
---@field gid integer
---@field dev integer
---@field ino integer
---@field nlink integer number of hard links
---@field blocks integer of 512 bytes
---@field atime number seconds since 1970: last access
---@field mtime number last change of content
---@field ctime number last change of the inode

---@class lua_async.OpenOptions
---@field mode? integer permissions of a new file, default 0666 less the umask

---@class lua_async.ReadFileOptions
---@field max? integer more bytes than that are "EFBIG"

---@class lua_async.WriteFileOptions
---@field atomic? boolean the old content or the new, whatever happens; regular files only
---@field append? boolean
---@field mode? integer permissions of a new file, default 0666 less the umask

---@class lua_async.RemoveOptions
---@field recursive? boolean a folder with all that is in it, following no link

---@class lua_async.CopyOptions
---@field exclusive? boolean what is there already is "EEXIST"

---@class lua_async.WalkOptions
---@field max_depth? integer what is in the root has 1
---@field follow? boolean goes into links to folders
---@field order? "pre" | "post" a folder before ("pre", the default) or after what is in it

---@class lua_async.MkdirOptions
---@field parents? boolean makes those that are missing
---@field mode? integer default 0777 less the umask

---Waits; an open file.
---@param path string
---@param mode? string as io.open, and "wx"
---@param options? lua_async.OpenOptions
---@return lua_async.File?
---@return lua_async.Error?
function async.fs.open(path, mode, options) end

---Waits; all of the file.
---@param path string
---@param options? lua_async.ReadFileOptions
---@return string?
---@return lua_async.Error?
function async.fs.read_file(path, options) end

---Waits.
---@param path string
---@param data string
---@param options? lua_async.WriteFileOptions
---@return true?
---@return lua_async.Error? err with `partial`
function async.fs.write_file(path, data, options) end

---Waits.
---@param path string
---@return lua_async.Stat?
---@return lua_async.Error?
function async.fs.stat(path) end

---Waits; does not follow a symbolic link.
---@param path string
---@return lua_async.Stat?
---@return lua_async.Error?
function async.fs.lstat(path) end

---Waits; an iterator of names and types.
---@param path string
---@return (fun(): string?, lua_async.FileType?)?
---@return lua_async.Error?
function async.fs.dir(path) end

---Waits.
---@param path string
---@param options? lua_async.MkdirOptions
---@return true?
---@return lua_async.Error?
function async.fs.mkdir(path, options) end

---Waits; removes a file, a link, an empty directory, or a tree.
---@param path string
---@param options? lua_async.RemoveOptions
---@return true?
---@return lua_async.Error?
function async.fs.remove(path, options) end

---Waits; replaces what is at `to`.
---@param from string
---@param to string
---@return true?
---@return lua_async.Error?
function async.fs.rename(from, to) end

---Waits; content and permissions of a regular file.
---@param from string
---@param to string
---@param options? lua_async.CopyOptions
---@return true?
---@return lua_async.Error?
function async.fs.copy(from, to, options) end

---Waits; `path` becomes a symbolic link to `to`.
---@param to string
---@param path string
---@return true?
---@return lua_async.Error?
function async.fs.symlink(to, path) end

---Waits; `path` becomes another name of the file at `from`.
---@param from string
---@param path string
---@return true?
---@return lua_async.Error?
function async.fs.link(from, path) end

---Waits; what a symbolic link says.
---@param path string
---@return string?
---@return lua_async.Error?
function async.fs.readlink(path) end

---Waits; the absolute path without links, `.` and `..`.
---@param path string
---@return string?
---@return lua_async.Error?
function async.fs.realpath(path) end

---Waits.
---@param path string
---@param mode integer
---@return true?
---@return lua_async.Error?
function async.fs.chmod(path, mode) end

---Waits; nil leaves an owner as it is.
---@param path string
---@param uid? integer
---@param gid? integer
---@return true?
---@return lua_async.Error?
function async.fs.chown(path, uid, gid) end

---Waits; of a symbolic link itself.
---@param path string
---@param uid? integer
---@param gid? integer
---@return true?
---@return lua_async.Error?
function async.fs.lchown(path, uid, gid) end

---Waits; seconds since 1970, nil is now.
---@param path string
---@param atime? number
---@param mtime? number
---@return true?
---@return lua_async.Error?
function async.fs.utime(path, atime, mtime) end

---Waits; the path of a new folder.
---@param template? string ends with XXXXXX, or gets it
---@return string?
---@return lua_async.Error?
function async.fs.mkdtemp(template) end

---Waits; a new file, open, and its path.
---@param template? string ends with XXXXXX, or gets it
---@return lua_async.File?
---@return string|lua_async.Error path
function async.fs.mkstemp(template) end

---@class lua_async.Walk
---@overload fun(): string?, (lua_async.FileType|lua_async.Error)?, lua_async.Error?
local Walk = {}

---Waits; an iterator over everything below a folder: path, type, and an error for a folder that
---cannot be read.
---@param path string
---@param options? lua_async.WalkOptions
---@return lua_async.Walk?
---@return lua_async.Error?
function async.fs.walk(path, options) end

---Passes over what is in the folder that came last.
function Walk:skip() end

---@return true
function Walk:close() end

---@class lua_async.FileWatch
---@overload fun(): { path: string, kind: "change"|"rename"|"overflow" }?, lua_async.Error?
local FileWatch = {}

---An iterator over the changes of a file, or of the entries of a folder.
---@param path string
---@return lua_async.FileWatch?
---@return lua_async.Error?
function async.fs.watch(path) end

---@return true
function FileWatch:close() end

---@class lua_async.File: lua_async.Stream
local File = {}

---The descriptor; EBUSY while something written is in the buffer.
---@return integer?
---@return lua_async.Error?
function File:fd() end

---Waits; the new position.
---@param whence? "set" | "cur" | "end"
---@param offset? integer
---@return integer?
---@return lua_async.Error?
function File:seek(whence, offset) end

---Waits; at most `n` bytes at `offset`, nil at the end.
---@param offset integer
---@param n integer
---@return string?
---@return lua_async.Error?
function File:read_at(offset, n) end

---Waits.
---@param offset integer
---@param data string
---@return lua_async.File?
---@return lua_async.Error? err with `partial`
function File:write_at(offset, data) end

---Waits until what was written is on the disk.
---@return lua_async.File?
---@return lua_async.Error?
function File:sync() end

---The same without what is not needed to read it: times.
---@return lua_async.File?
---@return lua_async.Error?
function File:datasync() end

---Waits.
---@param size? integer default 0
---@return lua_async.File?
---@return lua_async.Error?
function File:truncate(size) end

---Waits.
---@return lua_async.Stat?
---@return lua_async.Error?
function File:stat() end

-- ---- processes ----------------------------------------------------------------------

---@class lua_async.process
async.process = {}

---@alias lua_async.Stdio "inherit" | "null" | "pipe" | integer | lua_async.Stream | file*

---The command and its arguments at 1, 2, …
---@class lua_async.SpawnOptions
---@field stdin? lua_async.Stdio
---@field stdout? lua_async.Stdio
---@field stderr? lua_async.Stdio | "stdout"
---@field fds? table<integer, integer | lua_async.Stream | file*> further descriptors, from 3 on
---@field cwd? string
---@field env? table<string, string | number> all of its environment
---@field env_add? table<string, string | number | false> what differs from ours
---@field argv0? string
---@field group? boolean a session and process group of its own
---@field detached? boolean it is not killed when it is dropped
---@field uid? integer
---@field gid? integer

---As SpawnOptions, without `detached`.
---@class lua_async.OutputOptions
---@field input? string what it reads
---@field max? integer bytes of each output

---How a child ended: `ok` with code 0, with another code, or by a signal.
---@alias lua_async.Status { ok: boolean, code?: integer, signal?: string }
---@alias lua_async.Output { ok: boolean, code?: integer, signal?: string, stdout?: string, stderr?: string }

---Starts a child process.
---@param options lua_async.SpawnOptions
---@return lua_async.Child?
---@return lua_async.Error?
function async.process.spawn(options) end

---Waits; runs a command to its end, with its input and output.
---@param options lua_async.OutputOptions | lua_async.SpawnOptions
---@return lua_async.Output?
---@return lua_async.Error?
function async.process.output(options) end

---Starts several, each one's stdout the next one's stdin.
---@param ... lua_async.SpawnOptions
---@return lua_async.Pipeline?
---@return lua_async.Error?
function async.process.pipeline(...) end

---Signals a process, or with -pid a group.
---@param pid integer
---@param signal? string | integer "SIGTERM"
---@return true?
---@return lua_async.Error?
function async.process.kill(pid, signal) end

---@class lua_async.Child
---@field pid integer
---@field stdin? lua_async.Stream
---@field stdout? lua_async.Stream
---@field stderr? lua_async.Stream
local Child = {}

---Waits until it has ended.
---@return lua_async.Status?
---@return lua_async.Error?
function Child:wait() end

---How it ended, or `nil, err` with the code `EAGAIN` while it runs.
---@return lua_async.Status?
---@return lua_async.Error?
function Child:try_wait() end

---Waits; SIGTERM, and SIGKILL after `grace` seconds (5). How it ended.
---@param grace? number
---@return lua_async.Status?
---@return lua_async.Error?
function Child:stop(grace) end

---Signals it, or with `tree` its process group.
---@param signal? string | integer "SIGTERM"
---@param options? lua_async.KillOptions
---@return true?
---@return lua_async.Error?
function Child:kill(signal, options) end

---@class lua_async.KillOptions
---@field tree? boolean

---Kills it unless it has ended or is detached, and closes its pipes.
---@return true
function Child:close() end

---@class lua_async.Pipeline
---@field stdin? lua_async.Stream
---@field stdout? lua_async.Stream
---@field [integer] lua_async.Child
local Pipeline = {}

---Waits for all: the status of the last, and at 1, 2, … of each.
---@return lua_async.Status?
---@return lua_async.Error?
function Pipeline:wait() end

---How they ended, or `nil, err` with the code `EAGAIN` while one of them runs.
---@return lua_async.Status?
---@return lua_async.Error?
function Pipeline:try_wait() end

---Waits; SIGTERM to all, and SIGKILL after `grace` seconds (5). How they ended.
---@param grace? number
---@return lua_async.Status?
---@return lua_async.Error?
function Pipeline:stop(grace) end

---@param signal? string | integer "SIGTERM"
---@return true?
---@return lua_async.Error?
function Pipeline:kill(signal) end

---@return true
function Pipeline:close() end

-- ---- signals ------------------------------------------------------------------------

---@class lua_async.signal
async.signal = {}

---Listens from now on; an iterator of names.
---@param name string "SIGTERM"
---@param ... string
---@return lua_async.SignalStream
function async.signal.stream(name, ...) end

---Waits for one of them; its name.
---@param name string
---@param ... string
---@return string?
---@return lua_async.Error?
function async.signal.wait(name, ...) end

---@class lua_async.SignalStream
---@overload fun(): string?
local SignalStream = {}

---Waits; the name of a signal that came.
---@return string?
---@return lua_async.Error?
function SignalStream:recv() end

---@return string?
---@return lua_async.Error?
function SignalStream:try_recv() end

---@return true
function SignalStream:close() end

---Work on other threads, each with a Lua state of its own.
async.thread = {}

---Calls a function on a pool of threads, for work that computes or blocks.
---@param f fun(...): ...
---@param ... any copied
---@return lua_async.Task?
---@return lua_async.Error?
function async.thread.spawn_blocking(f, ...) end

---A run of its own on a thread of its own.
---@param f fun(...): ...
---@param ... any copied
---@return lua_async.Task?
---@return lua_async.Error?
function async.thread.spawn(f, ...) end

---@class lua_async.WorkersOptions
---@field count? integer threads; one for each core
---@field drain? number seconds that connections have after SIGTERM; 10
---@field restarts? integer failures in a row; 5
---@field delay? number seconds of the first pause after a failure; 0.1

---Waits while so many threads run a function; those that fail are started again, SIGTERM stops them
---gracefully.
---@param n? integer | lua_async.WorkersOptions
---@param f fun(...): ...
---@param ... any copied
---@return true
function async.thread.workers(n, f, ...) end

---How many threads can run at once.
---@return integer
function async.thread.cores() end

---What new states call first; nil: nothing.
---@param f? fun()
function async.thread.init(f) end

---A channel between threads.
---@param n integer | number how many values it holds, at least 1; math.huge: no limit
---@return lua_async.ThreadSender tx
---@return lua_async.ThreadReceiver rx
function async.thread.channel(n) end

---A channel for one value.
---@return lua_async.ThreadOneshotSender tx
---@return lua_async.ThreadReceiver rx
function async.thread.oneshot() end

---Every receiver gets every message; the newest `n` are kept.
---@param n integer
---@return lua_async.ThreadBroadcastSender tx
function async.thread.broadcast(n) end

---A value that changes.
---@param v any not nil
---@return lua_async.ThreadWatchSender tx
---@return lua_async.ThreadWatchReceiver rx
function async.thread.watch(v) end

---A number or a flag that threads share.
---@param v number | boolean
---@return lua_async.Shared
function async.thread.shared(v) end

---@class lua_async.Shared
local Shared = {}

---@return number | boolean
function Shared:get() end

---@param v number | boolean
---@return lua_async.Shared
function Shared:set(v) end

---@param n? number 1
---@return number
function Shared:add(n) end

---@param v number | boolean
---@return number | boolean before
function Shared:swap(v) end

---@param expected number | boolean
---@param v number | boolean
---@return boolean
---@return (number | boolean)? now
function Shared:compare_exchange(expected, v) end

---@return true
function Shared:close() end

---@class lua_async.ThreadSender
local ThreadSender = {}

---Waits for room.
---@param v any not nil
---@return true?
---@return lua_async.Error?
function ThreadSender:send(v) end

---@param v any not nil
---@return true?
---@return lua_async.Error?
function ThreadSender:try_send(v) end

---@return lua_async.ThreadSender?
---@return lua_async.Error?
function ThreadSender:clone() end

---@return true
function ThreadSender:close() end

---@class lua_async.ThreadReceiver
---@overload fun(): any?, lua_async.Error?
local ThreadReceiver = {}

---Waits for a value; nil at the end.
---@return any?
---@return lua_async.Error?
function ThreadReceiver:recv() end

---@return any?
---@return lua_async.Error?
function ThreadReceiver:try_recv() end

---Waits; a list of 1 to `max` messages: those that are available, and those that come within `seconds` (0)
---after the first. nil at the end.
---@param max integer
---@param seconds? number
---@return any[]?
---@return lua_async.Error?
function ThreadReceiver:recv_many(max, seconds) end

---@return lua_async.ThreadReceiver?
---@return lua_async.Error?
function ThreadReceiver:clone() end

---@return true
function ThreadReceiver:close() end

---@class lua_async.ThreadOneshotSender
local ThreadOneshotSender = {}

---@param v any not nil
---@return true?
---@return lua_async.Error?
function ThreadOneshotSender:send(v) end

---@return true
function ThreadOneshotSender:close() end

---@class lua_async.ThreadBroadcastSender
local ThreadBroadcastSender = {}

---@return lua_async.ThreadBroadcastSender?
---@return lua_async.Error?
function ThreadBroadcastSender:clone() end

---@param v any not nil
---@return integer? receivers that get it
---@return lua_async.Error?
function ThreadBroadcastSender:send(v) end

---@return lua_async.ThreadBroadcastReceiver?
---@return lua_async.Error?
function ThreadBroadcastSender:subscribe() end

---@return integer
function ThreadBroadcastSender:receivers() end

---@return true
function ThreadBroadcastSender:close() end

---@class lua_async.ThreadBroadcastReceiver
---@overload fun(): any?, lua_async.Error?
local ThreadBroadcastReceiver = {}

---Waits for a message; nil at the end; "EOVERFLOW" and `lost` after a loss.
---@return any?
---@return lua_async.Error?
function ThreadBroadcastReceiver:recv() end

---@return any?
---@return lua_async.Error?
function ThreadBroadcastReceiver:try_recv() end

---@return true
function ThreadBroadcastReceiver:close() end

---@class lua_async.ThreadWatchSender
local ThreadWatchSender = {}

---@return lua_async.ThreadWatchSender?
---@return lua_async.Error?
function ThreadWatchSender:clone() end

---@param v any not nil
---@return true?
---@return lua_async.Error?
function ThreadWatchSender:send(v) end

---@return any
function ThreadWatchSender:get() end

---@return lua_async.ThreadWatchReceiver?
---@return lua_async.Error?
function ThreadWatchSender:subscribe() end

---@return integer
function ThreadWatchSender:receivers() end

---@return true
function ThreadWatchSender:close() end

---@class lua_async.ThreadWatchReceiver
---@overload fun(): any?, lua_async.Error?
local ThreadWatchReceiver = {}

---As `recv`, but `nil, err` with the code EAGAIN when it would have to wait.
---@return any?
---@return lua_async.Error?
function ThreadWatchReceiver:try_recv() end

---As `changed`, but `nil, err` with the code EAGAIN when it would have to wait.
---@return true?
---@return lua_async.Error?
function ThreadWatchReceiver:try_changed() end

---The value, which counts as seen.
---@return any?
---@return lua_async.Error?
function ThreadWatchReceiver:get() end

---@return boolean
function ThreadWatchReceiver:has_changed() end

---Waits for a value unseen; nil at the end.
---@return true?
---@return lua_async.Error?
function ThreadWatchReceiver:changed() end

---Waits for a value unseen, and returns it; nil at the end.
---@return any?
---@return lua_async.Error?
function ThreadWatchReceiver:recv() end

---@return lua_async.ThreadWatchReceiver?
---@return lua_async.Error?
function ThreadWatchReceiver:clone() end

---@return true
function ThreadWatchReceiver:close() end

return async
