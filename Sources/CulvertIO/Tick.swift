internal import CLinux

/// A moment on the monotonic clock, in nanoseconds. Only differences mean anything.
public struct Tick: Comparable, Hashable, Sendable, BitwiseCopyable {
    public var nanoseconds: UInt64

    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// The clock as it stands. Costs a call: on a worker use the driver's `now`, which is read once a turn.
    public static func current() -> Tick { Tick(nanoseconds: culvert_clock()) }

    /// The same moment on a clock that goes on while the machine sleeps: when the two drift apart, it has slept.
    public static func currentWithSleep() -> Tick { Tick(nanoseconds: culvert_clock_boottime()) }

    /// Later than any moment that comes.
    public static var distantFuture: Tick { Tick(nanoseconds: .max) }

    public static func < (left: Tick, right: Tick) -> Bool { left.nanoseconds < right.nanoseconds }

    public static func + (tick: Tick, span: Span) -> Tick {
        Tick(nanoseconds: tick.nanoseconds &+ UInt64(max(0, span.nanoseconds)))
    }

    public static func - (later: Tick, earlier: Tick) -> Span {
        Span(nanoseconds: Int64(bitPattern: later.nanoseconds &- earlier.nanoseconds))
    }

    /// A length of time, in nanoseconds.
    public struct Span: Comparable, Hashable, Sendable, BitwiseCopyable {
        public var nanoseconds: Int64
        public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
        public static func milliseconds(_ count: Int) -> Span { Span(nanoseconds: Int64(count) * 1_000_000) }
        public static func seconds(_ count: Double) -> Span { Span(nanoseconds: Int64(count * 1e9)) }
        public static var zero: Span { Span(nanoseconds: 0) }
        public var seconds: Double { Double(nanoseconds) / 1e9 }
        public static func < (left: Span, right: Span) -> Bool { left.nanoseconds < right.nanoseconds }
    }
}
