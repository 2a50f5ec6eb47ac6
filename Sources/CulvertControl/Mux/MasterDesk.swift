internal import CulvertIO
internal import CulvertRelay
internal import CulvertSSH
internal import Glibc

/// The thread between a link's worker, to which it is the server, and a running master, whose client it is. What is asked of
/// the master is in MasterDesk+Master.swift.
///
/// Invariants: every channel that the link asked for waits at a door, or has a flow until both ends have closed it, or is
/// refused; a question to the master is answered once.
struct MasterDesk: ~Copyable {
    /// Why it is over, for a person.
    struct Ending: Error { let reason: String }

    enum Question {
        /// Does the master live, after what it said of that flow?
        case alive(MasterFlow)
        case door(MuxForward.End)
        case listen(PeerForwardNumber, MasterForward)
        case unlisten(PeerForwardNumber)
        /// A door that nobody needs.
        case closeDoor

        /// It is between the two processes: the server's word is not waited for.
        var isQuick: Bool {
            switch self {
            case .alive, .door, .closeDoor: true
            case .listen, .unlisten: false
            }
        }
    }

    /// At once: each is a descriptor here, and two of the master's.
    static let mostFlows = 256
    /// Payload is read in such pieces, bytes.
    static let piece = 32 << 10
    /// The master's queue is tried again so soon.
    private static let pause = Tick.Span.milliseconds(20)
    /// A master that does not answer for so long has stopped; one may ask a person meanwhile (ControlMaster ask).
    private static let silence = Tick.Span.seconds(60)
    static let ringCapacity = 1 << 20

    let found: MasterSocket.Found
    let link: ControlStream
    let journal: Journal
    var engine: NullCipherEngine
    private var ring: MirroredRing
    var replies = MuxStream()
    /// For the master, and not sent yet.
    var said: [UInt8] = []
    var lastRequest: UInt32 = 0
    var asked: [UInt32: (question: Question, since: Tick)] = [:]
    var flows: [ChannelNumber: MasterFlow] = [:]
    var doors: [MuxForward.End: MasterDoor] = [:]
    var forwards: [MasterForward] = []
    let directory: PrivateDirectory
    var socketsMade = 0
    private var acceptsAgainAt: Tick?

    /// `directory` is for the sockets between the two processes; `ring` has `ringCapacity` bytes.
    init(
        _ found: MasterSocket.Found, link: ControlStream, _ directory: PrivateDirectory, _ ring: consuming MirroredRing,
        journal: Journal
    ) {
        self.found = found
        self.directory = directory
        self.ring = ring
        self.link = link
        self.journal = journal
        var settings = ConnectionSettings()
        // What the master does not read waits here.
        settings.maximumWindow = settings.initialWindow
        settings.maximumChannels = Self.mostFlows
        engine = NullCipherEngine(role: .server, settings: settings)
    }

    /// Until either side has gone. Why.
    mutating func run() -> String {
        defer { withdraw() }
        do throws(Ending) { while true { try turn() } } catch { return error.reason }
    }

    // MARK: One turn

    private mutating func turn() throws(Ending) {
        try flush()
        var reading = [link.descriptor, found.control.descriptor]
        var (writing, ending) = ([Descriptor](), [Descriptor]())
        if unsafe !engine.output.isEmpty { writing.append(link.descriptor) }
        if !said.isEmpty { writing.append(found.control.descriptor) }
        for flow in flows.values where flow.isOpen {
            if flow.awaitsHangUp { ending.append(flow.stream.descriptor) }
            if !flow.downEnded, engine.sendable(flow.channel) > 0 { reading.append(flow.stream.descriptor) }
            if flow.queued > 0 { writing.append(flow.stream.descriptor) }
        }
        let now = Tick.current()
        if let due = acceptsAgainAt, due <= now { acceptsAgainAt = nil }
        if acceptsAgainAt == nil, flows.count < Self.mostFlows { reading += forwards.map(\.listener.descriptor) }
        let isQueueFull = doors.values.contains { $0.stands && !$0.waiting.isEmpty }
        let silentAt = asked.values.filter(\.question.isQuick).map { $0.since + Self.silence }.min()
        if let silentAt, silentAt <= now { throw masterIsSilent }
        let due = [isQueueFull ? now + Self.pause : nil, acceptsAgainAt, silentAt].compactMap(\.self).min()
        let ready = Set(Wait.forEither(reading: reading, writing: writing, ending: ending, until: due))
        // First: what it says, and its end, goes before what its streams seem to say.
        if ready.contains(found.control.descriptor) { try hearMaster() }
        if ready.contains(link.descriptor) { try hearLink() }
        for flow in Array(flows.values) where !flow.isOver && ready.contains(flow.stream.descriptor) {
            try serve(flow)
        }
        for index in forwards.indices where ready.contains(forwards[index].listener.descriptor) { accept(index) }
        if isQueueFull { for target in Array(doors.keys) { enter(target) } }
    }

    private mutating func flush() throws(Ending) {
        do throws(IOError) {
            while true {
                let output = unsafe engine.output
                guard unsafe !output.isEmpty else { break }
                let sent = try unsafe link.send(output)
                guard sent > 0 else { break }
                engine.outputSent(sent)
            }
        } catch { throw Ending(reason: "the link has ended") }
        guard !said.isEmpty else { return }
        guard let sent = found.control.send(said[...]) else { throw masterHasGone }
        said.removeFirst(sent)
    }

    // MARK: The link

    private mutating func hearLink() throws(Ending) {
        do throws(IOError) {
            guard let count = try unsafe link.receive(into: ring.writable) else { return }
            guard count > 0 else { throw IOError(ECONNRESET, "receive") }
            ring.advance(count)
        } catch { throw Ending(reason: "the link has ended") }
        unsafe engine.receive(ring.readable)
        do throws(SSHError) {
            while let event = try engine.nextEvent() { take(event) }
        } catch { throw Ending(reason: error.description) }
        ring.release(engine.takeConsumed())
    }

    private mutating func take(_ event: EngineEvent) {
        switch event {
        case .openRequested(let channel): open(channel)
        case .payload(let channel, let payload):
            guard let flow = flows[channel], !flow.upOver else {
                return engine.credit(channel, count: payload.count)
            }
            flow.append(payload)
            sendUp(flow)
        case .ended(let channel):
            guard let flow = flows[channel] else { return }
            flow.upEnded = true
            sendUp(flow)
        case .closed(let channel, let afterEnd):
            guard let flow = flows[channel] else { return engine.close(channel) }
            guard afterEnd else { return cut(flow) }
            // What was said in order is still brought to the server; nothing of the server's is wanted any more.
            flow.isClosed = !flow.downOver
            flow.downEnded = true
            sendUp(flow)
        case .violated(let channel): if let flow = flows[channel] { forget(flow) }
        case .opened(let channel): flows[channel]?.isOpen = true
        case .openRefused(let channel, _):
            _ = engine.takeRefusal(channel)
            if let flow = flows[channel] { forget(flow) }
        case .forwardRequested(let number): change(number)
        case .sendable, .allSendable, .forwardAnswered, .commandRefused, .probeAnswered, .hostKeysOffered,
            .hostKeyProofAnswered:
            break
        }
    }

    // MARK: Flows

    private mutating func serve(_ flow: MasterFlow) throws(Ending) {
        if flow.awaitsHangUp {
            flow.hasHungUp = true
            return settle(flow)
        }
        if !flow.downEnded, engine.sendable(flow.channel) > 0 { try bringDown(flow) }
        if !flow.isOver { sendUp(flow) }
    }

    private mutating func bringDown(_ flow: MasterFlow) throws(Ending) {
        let slots = engine.reserve(flow.channel, maximum: Self.piece)
        guard slots.count > 0, let first = unsafe slots.first else { return }
        let length = slots.count == 1 ? slots.lastLength : slots.slotLength
        var count: Int? = 0
        var isBroken = false
        do throws(IOError) {
            count = try unsafe flow.stream.receive(into: UnsafeMutableRawBufferPointer(start: first, count: length))
        } catch { isBroken = true }
        flow.came += count ?? 0
        do throws(SSHError) { try engine.commit(flow.channel, count: count ?? 0) } catch {
            throw Ending(reason: error.description)
        }
        guard count == 0 else { return }
        // A master tells nobody of a target that was not reached: it closes, as it found it.
        if flow.door != nil, flow.came == 0, isBroken || flow.gone == 0 && hasHungUp(flow) {
            return failed(flow)
        }
        if isBroken { return cut(flow) }
        // A master that dies ends its streams too: it must answer after that.
        flow.downEnded = true
        ask(.alive(flow)) { .aliveCheck($0) }
    }

    private func hasHungUp(_ flow: MasterFlow) -> Bool {
        !Wait.forEither(reading: [], writing: [], ending: [flow.stream.descriptor], until: Tick(nanoseconds: 0)).isEmpty
    }

    private mutating func failed(_ flow: MasterFlow) {
        let target = flow.door.map { PeerText("\($0.target)").description } ?? ""
        journal.error(
            "\(target): nothing came of a connection by the running master: the server could not reach it, it seems")
        cut(flow)
    }

    mutating func sendUp(_ flow: MasterFlow) {
        let gone = flow.sendUp()
        if gone > 0 { engine.credit(flow.channel, count: gone) }
        settle(flow)
    }

    mutating func settle(_ flow: MasterFlow) {
        guard !flow.isOver, flow.isOpen, flow.isDone else { return }
        cut(flow)
    }

    private mutating func cut(_ flow: MasterFlow) {
        engine.close(flow.channel)
        forget(flow)
    }

    /// Its stream closes with it.
    private mutating func forget(_ flow: MasterFlow) {
        flow.isOver = true
        flows[flow.channel] = nil
        if let target = flow.door { leave(target) }
    }

    // MARK: From the server

    /// Somebody connected to a port there: the master has connected to us.
    private mutating func accept(_ index: Int) {
        switch forwards[index].listener.accept() {
        case .nothing: return
        case .notNow: acceptsAgainAt = Tick.current() + .seconds(1)
        case .stream(let stream):
            do throws(SSHError) {
                let channel = try engine.open(forwards[index].opening)
                flows[channel] = MasterFlow(channel, stream, door: nil)
            } catch {
                // Too many at once: it is closed.
                journal.verbose("a connection of a running master's is closed: \(error)")
            }
        }
    }
}
