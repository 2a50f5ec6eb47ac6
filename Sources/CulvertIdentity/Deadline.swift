internal import Glibc

/// A point in time on the monotonic clock after which a blocking call gives up.
struct Deadline {
    private let nanoseconds: UInt64

    init(seconds: Int) {
        nanoseconds = Self.now() + UInt64(max(0, seconds)) * 1_000_000_000
    }

    /// What is left, for poll(2): rounded up, so that 0 means over.
    var milliseconds: CInt {
        let now = Self.now()
        guard now < nanoseconds else { return 0 }
        return CInt(clamping: (nanoseconds - now + 999_999) / 1_000_000)
    }

    var isOver: Bool { Self.now() >= nanoseconds }

    func isBefore(_ other: Deadline) -> Bool { nanoseconds < other.nanoseconds }

    private static func now() -> UInt64 {
        var time = timespec()
        precondition(unsafe clock_gettime(CLOCK_MONOTONIC, &time) == 0, "Linux has a monotonic clock")
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Waits until `descriptor` is ready for `events` (or has failed: the next call on it tells). false: time is over.
    func wait(_ descriptor: CInt, for events: CInt) -> Bool {
        while true {
            var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            let ready = unsafe poll(&entry, 1, milliseconds)
            if ready > 0 { return true }
            if ready == 0 || errno != EINTR { return false }
        }
    }
}

/// The kernel's words for an errno value, for messages.
func words(for code: CInt) -> String {
    guard let text = unsafe strerror(code) else { return "error \(code)" }
    return unsafe String(cString: text)
}
