internal import CulvertIO

/// A connection that makes load.
///
/// Invariant: `sent <= target`; `begun` holds when each request began that has not been answered whole; nothing is
/// received beyond `promised`.
struct ClientConnection {
    enum Finding: Equatable {
        case fine
        case mismatch(String)
    }

    let number: UInt32
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
    /// Of workloads that exchange.
    private var exchange: Exchange?
    /// The offset behind the last answer that was asked for.
    private var promised: UInt64 = 0

    private struct Exchange {
        let answersEach: UInt32
        /// The next request to be asked, the last answer to it, and the answer that is awaited.
        var requests: Pieces
        var asked: Pieces
        var answers: Pieces
        /// How many answers the eldest request has had.
        var had: UInt32 = 0
    }

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
        up = Pattern(seed: workload.seed, connection: number, direction: .up)
        down = Pattern(seed: workload.seed, connection: number, direction: .down)
        hello = workload.hello(number).bytes
        // The others say it with their first payload, when the clock has started.
        mayStart = workload.kind == .churn || workload.kind == .idle
        lastProgress = now
        guard workload.exchanges else { return }
        let answers = Pieces(workload.sizes.answers, seed: workload.seed, connection: number, .down)
        exchange = Exchange(
            answersEach: workload.sizes.answersEach,
            requests: Pieces(workload.sizes.requests, seed: workload.seed, connection: number, .up), asked: answers,
            answers: answers)
    }

    var exchanges: Bool { exchange != nil }

    /// One more request, which began at `moment`, is to be sent, and its answers awaited.
    mutating func ask(_ moment: UInt64) {
        guard var exchange else { preconditionFailure("only who exchanges asks") }
        begun.add(moment)
        target = exchange.requests.end
        exchange.requests.advance()
        for _ in 0..<exchange.answersEach {
            promised = exchange.asked.end
            exchange.asked.advance()
        }
        self.exchange = exchange
    }

    /// Whether something is due, so that silence is a fault.
    var expectsProgress: Bool {
        isConnecting || isShut || !begun.isEmpty || sent < target || (!exchanges && mayStart)
    }

    /// Checks what came. Whole answers are then to be taken with `takeAnswer`.
    mutating func take(_ start: UnsafeRawPointer, _ count: Int) -> Finding {
        var used = 0
        if closing.isEmpty {
            used = unsafe down.firstDifference(start, count: count, at: received) ?? count
            received += UInt64(used)
            if exchanges && received > promised {
                return .mismatch("down: mismatch at offset \(promised): payload that nobody asked for")
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

    struct Answer {
        /// When the request began, if this was the last of its answers.
        let began: UInt64?
        let isBulk: Bool
    }

    /// The next answer that is whole.
    mutating func takeAnswer() -> Answer? {
        guard !begun.isEmpty, var exchange, received >= exchange.answers.end else { return nil }
        let isBulk = exchange.answers.isBulk
        exchange.answers.advance()
        exchange.had += 1
        let isLast = exchange.had == exchange.answersEach
        if isLast { exchange.had = 0 }
        self.exchange = exchange
        return Answer(began: isLast ? begun.takeFirst() : nil, isBulk: isBulk)
    }
}
