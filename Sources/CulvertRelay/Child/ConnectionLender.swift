internal import CulvertIO

/// The parent process as the workers of a child see it: it has accepted the connections that they carry, and keeps
/// descriptors of each until it hears what became of it. So none is lost with the child, and none that the child has begun
/// to carry is taken for untouched.
///
/// Each connection that came is settled or given back, once. Both wait until the parent's kernel buffer takes the word.
final class ConnectionLender: Sendable {
    private let line: ProcessLine

    init(_ line: ProcessLine) { self.line = line }

    /// It has a channel, or is over: said before the first byte is written to it or read from it.
    func settled(_ arrival: Arrival, isOpen: Bool) { line.tell(.settled(arrival, isOpen: isOpen)) }

    /// Its link has gone before anything was said to it: it may wait for another one.
    func giveBack(_ arrival: Arrival) { line.tell(.returned(arrival)) }

    /// The parent asks whether this worker comes round.
    func answer(by worker: WorkerID) { line.tell(.answered(.worker(worker))) }
}

extension ProcessLine {
    /// From any thread of a child. Nothing comes of it when the parent has gone: the child ends then.
    func tell(_ news: ChildNews) { send(Message(news.message)) }
}
