internal import CulvertIO

/// A connection that makes load.
///
/// Invariant: `sent <= target`; `answered` requests have their whole answer in `received`, and `begun` holds when each
/// of the others began.
struct ClientConnection {
    enum Finding: Equatable {
        case fine
        case mismatch(String)
    }

    let number: UInt32
    let responseSize: UInt64
    var descriptor: Descriptor
    var isConnecting = true
    /// Which of the target's addresses is tried.
    var address: Int

    let up: Pattern
    let down: Pattern
    let hello: [UInt8]
    var helloSent = 0
    var mayStart: Bool

    /// Payload bytes.
    var sent: UInt64 = 0
    var target: UInt64 = 0
    var received: UInt64 = 0
    var begun = MomentQueue()
    var answered: UInt64 = 0

    /// What came and is not payload: the verdict, as far as it has come.
    private var closing: [UInt8] = []
    private(set) var isFoundRight = false

    /// Nothing new is begun; the sending direction ends when all is answered.
    var isStopping = false
    var isShut = false
    var isAwaitingWritable = false
    var lastProgress: Tick

    init(_ workload: Workload, number: UInt32, descriptor: Descriptor, address: Int, now: Tick) {
        self.number = number
        self.descriptor = descriptor
        self.address = address
        responseSize = workload.exchanges ? UInt64(workload.responseSize) : 0
        up = Pattern(seed: workload.seed, connection: number, direction: .up)
        down = Pattern(seed: workload.seed, connection: number, direction: .down)
        hello = workload.hello(number).bytes
        // The others say it with their first payload, when the clock has started.
        mayStart = workload.kind == .churn || workload.kind == .idle
        lastProgress = now
    }

    /// Whether something is due, so that silence is a fault.
    var expectsProgress: Bool {
        isConnecting || isShut || !begun.isEmpty || sent < target || (responseSize == 0 && mayStart)
    }

    /// Checks what came. Whole answers are then to be taken with `takeAnswer`.
    mutating func take(_ start: UnsafeRawPointer, _ count: Int) -> Finding {
        var used = 0
        if closing.isEmpty {
            used = unsafe down.firstDifference(start, count: count, at: received) ?? count
            received += UInt64(used)
            if responseSize > 0, received > (answered + UInt64(begun.count)) * responseSize {
                return .mismatch(
                    "down: mismatch at offset \((answered + UInt64(begun.count)) * responseSize):"
                        + " payload that nobody asked for")
            }
        }
        guard used < count else { return .fine }
        let room = Verdict.length + 1 - closing.count
        unsafe closing += UnsafeRawBufferPointer(start: start + used, count: min(room, count - used))
        guard Verdict.mayBegin(closing[...], down, received: received) else {
            return .mismatch("down: mismatch at offset \(received)")
        }
        guard closing.count == Verdict.length else { return .fine }
        guard let verdict = Verdict(closing) else {
            return .mismatch("down: mismatch at offset \(received): the far end's closing report is damaged")
        }
        switch verdict.finding {
        case .differs: return .mismatch("up: mismatch at offset \(verdict.offset)")
        case .right where verdict.offset == sent: isFoundRight = true
        case .right:
            return .mismatch("up: mismatch at offset \(verdict.offset): the stream ended there, of \(sent) bytes sent")
        }
        return .fine
    }

    /// When the eldest request began, if its answer is whole.
    mutating func takeAnswer() -> UInt64? {
        guard !begun.isEmpty, received >= (answered + 1) * responseSize else { return nil }
        answered += 1
        return begun.takeFirst()
    }
}
