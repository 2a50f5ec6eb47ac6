import Foundation

/// Work on a thread of its own, whose end and error can be waited for.
final class Running: @unchecked Sendable {
    private let done = NSCondition()
    private var isDone = false
    private var failure: (any Error)?

    init(_ body: @escaping @Sendable () throws -> Void) {
        let thread = Thread { [self] in
            var thrown: (any Error)?
            do { try body() } catch { thrown = error }
            done.lock()
            failure = thrown
            isDone = true
            done.broadcast()
            done.unlock()
        }
        thread.stackSize = 512 << 10
        thread.start()
    }

    /// Waits for the end and throws what the work threw.
    func join(within deadline: Double = 600) throws {
        done.lock()
        defer { done.unlock() }
        let limit = Date(timeIntervalSinceNow: deadline)
        while !isDone {
            guard done.wait(until: limit) else { throw Failure("a thread has not ended within \(deadline) s") }
        }
        if let failure { throw failure }
    }
}

/// Runs `body` on `count` threads at once, waits for all of them and throws the first error.
func concurrently(_ count: Int, within deadline: Double = 600, _ body: @escaping @Sendable (Int) throws -> Void) throws
{
    let running = (0..<count).map { index in Running { try body(index) } }
    var first: (any Error)?
    for each in running {
        do { try each.join(within: deadline) } catch { first = first ?? error }
    }
    if let first { throw first }
}

/// A number that threads count in.
final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var stored = 0

    var value: Int {
        lock.lock()
        defer { lock.unlock() }
        return stored
    }

    func add(_ amount: Int) {
        lock.lock()
        stored += amount
        lock.unlock()
    }
}

/// Values that threads put and one takes.
final class Mailbox<Value>: @unchecked Sendable {
    private let lock = NSLock()
    private var values: [Value] = []

    func put(_ value: Value) {
        lock.lock()
        values.append(value)
        lock.unlock()
    }

    func take() -> Value? {
        lock.lock()
        defer { lock.unlock() }
        return values.isEmpty ? nil : values.removeFirst()
    }

    func wait(_ what: String, within deadline: Double = 15) throws -> Value {
        try eventually(what, within: deadline) { take() }
    }
}
