internal import CulvertIO
internal import CulvertSSH

/// A thread of a child without which something there stands still.
enum ChildVoice: Hashable, Sendable {
    /// It hears the parent.
    case first
    case worker(WorkerID)
}

/// Notices a child that hangs and does not end: stopped, or one of its threads never comes back. Every `pause` all its voices
/// are asked; it hangs when one of them has not answered for `patience`. A value: the time goes in.
///
/// Only time in which the parent ran counts. A look that comes late, because the machine slept or the parent was stopped, says
/// nothing of the child: so no two looks count as further apart than `longestStep`, and the answers that have come are heard
/// before each look.
struct ChildWatch {
    enum Step: Equatable {
        case nothing
        case ask
        /// It is to be ended.
        case hangs
    }

    static let pause = Tick.Span.seconds(10)
    static let patience = Tick.Span.seconds(30)
    static let longestStep = Tick.Span.seconds(5)

    private let voices: Set<ChildVoice>
    /// Those that have not answered the last question.
    private var missing: Set<ChildVoice> = []
    /// Since the last question, as far as it counts.
    private var elapsed = Tick.Span.zero
    private var looked: Tick

    init(workers: Int, now: Tick) {
        voices = Set((0..<workers).map { .worker(WorkerID($0)) }).union([.first])
        looked = now
    }

    /// An answer that nobody waits for is none.
    mutating func answered(_ voice: ChildVoice) { missing.remove(voice) }

    mutating func look(_ now: Tick) -> Step {
        let step = min(now - looked, Self.longestStep)
        looked = now
        elapsed = Tick.Span(nanoseconds: elapsed.nanoseconds + step.nanoseconds)
        guard elapsed >= due else { return .nothing }
        guard missing.isEmpty else { return .hangs }
        missing = voices
        elapsed = .zero
        return .ask
    }

    /// By when the next look is to be taken.
    var nextMoment: Tick {
        looked + min(Self.longestStep, Tick.Span(nanoseconds: due.nanoseconds - elapsed.nanoseconds))
    }

    private var due: Tick.Span { missing.isEmpty ? Self.pause : Self.patience }
}

extension ChildVoice: Portable {
    func write(to out: inout WireBytes) {
        switch self {
        case .first: out.put(UInt8(0))
        case .worker(let id): out.put(UInt8(1), id.number)
        }
    }

    init(from reader: inout WireReader) throws(SSHError) {
        switch try reader.byte() {
        case 0: self = .first
        case 1: self = .worker(WorkerID(try reader.take()))
        default: throw .unreadable
        }
    }
}
