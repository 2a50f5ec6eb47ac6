public import CulvertIO

/// Hands lines on, on a thread of its own: nobody who has something to say waits for whoever reads it.
///
/// Invariant: lines are handed on one at a time, in the order in which they came. `LogQueue` says how many wait, and
/// `LogBrake` which are summed up. The thread begins with `begin`: a process that goes to the background forks before.
public final class LogThread: Sendable {
    public typealias Write = @Sendable (Journal.Line) -> Void

    /// Nobody who ends, and nobody who asks, waits longer than this for what was said before.
    public static let patience = Tick.Span.seconds(1)

    private struct State {
        var queue: LogQueue
        var brake = LogBrake()
        var hasBegun = false
        /// Since when a line is being written, nil between lines.
        var writingSince: Tick?

        mutating func add(_ summaries: [LogBrake.Summary]) {
            for summary in summaries { queue.add(Journal.Line(.error, summary.text, kind: nil)) }
        }
    }

    private let write: Write
    private let state: Monitor<State>

    /// `write` is called on the log's thread, and may wait there.
    public convenience init(write: @escaping Write) { self.init(LogQueue.Limits(), write: write) }

    init(_ limits: LogQueue.Limits, write: @escaping Write) {
        self.write = write
        state = Monitor(State(queue: LogQueue(limits)))
    }

    /// Takes a line, or counts it. From any thread; waits for nothing.
    public func post(_ line: Journal.Line) {
        state.withLock { state in
            if let kind = line.kind, !state.brake.admits(kind, now: .current()) { return }
            state.queue.add(line)
        }
    }

    /// Starts the thread, once. Where none can be had, lines are written by whoever settles them.
    public func begin() {
        let isFirst = state.withLock { state in
            defer { state.hasBegun = true }
            return !state.hasBegun
        }
        guard isFirst else { return }
        do throws(IOError) {
            try Thread.start(name: "culvert-log") { self.run() }
        } catch {
            state.withLock { $0.hasBegun = false }
            while let line = state.withLock({ $0.queue.next() }) { write(line) }
        }
    }

    /// Returns when all that was posted has been written, or when one write, or all of them together, has taken too long.
    public func settle() {
        begin()
        let now = Tick.current()
        let deadline = state.withLock { min(now, $0.writingSince ?? now) } + Self.patience
        state.wait { state -> Monitor<State>.Step<Void> in
            let isWritten = state.queue.isEmpty && state.writingSince == nil
            return isWritten || !state.hasBegun || Tick.current() >= deadline ? .done(()) : .again(by: deadline)
        }
    }

    /// The process ends: what was held back is said too.
    public func finish() {
        state.withLock { $0.add($0.brake.takeAll(now: .current())) }
        settle()
    }

    private func run() {
        while true {
            let line = state.wait { state -> Monitor<State>.Step<Journal.Line> in
                let now = Tick.current()
                state.add(state.brake.take(now: now))
                guard let line = state.queue.next() else { return .again(by: state.brake.nextMoment) }
                state.writingSince = now
                return .done(line)
            }
            write(line)
            state.withLock { $0.writingSince = nil }
        }
    }
}
