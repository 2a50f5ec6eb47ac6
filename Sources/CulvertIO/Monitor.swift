internal import CLinux
internal import Glibc

/// A value that several threads use in turn, off the data path, and that threads may wait for: `Guarded`, with a
/// condition. Needs no descriptor.
@safe public final class Monitor<Value>: @unchecked Sendable {
    /// What one who waits makes of the value as it is now.
    public enum Step<Result: Sendable>: Sendable {
        case done(Result)
        /// Looks again when the value has been used by another, and at that moment at the latest; nil: whenever that is.
        case again(by: Tick?)
    }

    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>
    private var value: Value

    public init(_ value: sending Value) {
        unsafe mutex = .allocate(capacity: 1)
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe pthread_mutex_init(mutex, nil)
        unsafe changed = .allocate(capacity: 1)
        unsafe changed.initialize(to: pthread_cond_t())
        // Moments are those of the monotonic clock: a clock that is set must not make anybody wait.
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(changed, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
        self.value = value
    }

    deinit {
        unsafe pthread_cond_destroy(changed)
        unsafe changed.deallocate()
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
    }

    /// `body` has the value to itself, and must not wait. Whoever waits for the value looks again.
    public func withLock<Result>(_ body: (inout sending Value) -> sending Result) -> sending Result {
        unsafe pthread_mutex_lock(mutex)
        defer {
            unsafe pthread_cond_broadcast(changed)
            unsafe pthread_mutex_unlock(mutex)
        }
        return body(&value)
    }

    /// Waits until `body`, which has the value to itself each time, is done.
    public func wait<Result: Sendable>(for body: (inout sending Value) -> Step<Result>) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while true {
            switch body(&value) {
            case .done(let result): return result
            case .again(by: nil): unsafe pthread_cond_wait(changed, mutex)
            case .again(by: let moment?):
                var time = timespec()
                time.tv_sec = Int(moment.nanoseconds / 1_000_000_000)
                time.tv_nsec = Int(moment.nanoseconds % 1_000_000_000)
                unsafe pthread_cond_timedwait(changed, mutex, &time)
            }
        }
    }
}
