internal import CulvertIO
internal import CulvertRelay
internal import CulvertSSH
internal import Glibc

/// What is asked of the master, and what it answers.
extension MasterDesk {
    /// Doors that are kept where nobody goes through them.
    private static let mostIdleDoors = 32
    private static let mostForwards = 64
    /// What the last words may take.
    private static let farewell = Tick.Span.milliseconds(500)
    /// The master's queue is tried for so long.
    private static let patience = Tick.Span.seconds(10)

    var masterHasGone: Ending { Ending(reason: "the running master at \(PeerText(found.socket.path)) has ended") }

    private var masterTalksNonsense: Ending {
        Ending(reason: "the running master at \(PeerText(found.socket.path)) says what no master says")
    }

    var masterIsSilent: Ending {
        Ending(reason: "the running master at \(PeerText(found.socket.path)) does not answer")
    }

    mutating func ask(_ question: Question, _ request: (UInt32) -> MuxRequest) {
        lastRequest &+= 1
        said += request(lastRequest).packet
        asked[lastRequest] = (question, .current())
    }

    mutating func hearMaster() throws(Ending) {
        switch found.control.receive(most: Self.piece) {
        case .nothing: return
        case .ended: throw masterHasGone
        case .bytes(let bytes, let descriptors):
            descriptors.forEach(SocketOption.close)
            replies.append(bytes)
        }
        var words: [MuxReply] = []
        do throws(SSHError) {
            while let message = try replies.take() { words.append(try MuxReply(message)) }
        } catch { throw masterTalksNonsense }
        for word in words { try take(word) }
    }

    private mutating func take(_ reply: MuxReply) throws(Ending) {
        switch (reply, reply.number.flatMap { asked.removeValue(forKey: $0)?.question }) {
        case (.alive, .alive(let flow)):
            guard !flow.isOver, !flow.isClosed, !flow.downOver else { return }
            engine.finish(flow.channel)
            flow.downOver = true
            settle(flow)
        case (.done, .door(let target)):
            doors[target]?.stands = true
            enter(target)
        case (.failed(_, let reason), .door(let target)), (.denied(_, let reason), .door(let target)):
            guard let door = doors.removeValue(forKey: target) else { return }
            for each in door.waiting {
                engine.refuse(each.channel, .connectFailed, words: "the running master: \(reason)")
            }
        case (.done, .listen(let number, let forward)): stand(number, forward, port: forward.port)
        case (.remotePort(_, let port), .listen(let number, let forward)):
            guard let port = UInt16(exactly: port) else { throw masterTalksNonsense }
            stand(number, forward, port: port)
        case (.failed(_, let reason), .listen(let number, let forward)),
            (.denied(_, let reason), .listen(let number, let forward)):
            journal.verbose("the running master: \(PeerText(reason))")
            forward.listener.remove()
            engine.refuseForward(number)
        case (.done, .unlisten(let number)): engine.acceptForward(number, port: 0)
        case (.failed, .unlisten(let number)), (.denied, .unlisten(let number)): engine.refuseForward(number)
        case (.done, .closeDoor), (.failed, .closeDoor), (.denied, .closeDoor): return
        default: throw masterTalksNonsense
        }
    }

    private mutating func nextPath() -> String {
        socketsMade += 1
        return "\(directory.path)/\(socketsMade)"
    }

    /// What the master listens on for us, or the server, it would for as long as it lives.
    mutating func withdraw() {
        let unanswered = asked.values.compactMap {
            if case .listen(_, let forward) = $0.question { forward } else { nil }
        }
        for forward in forwards + unanswered {
            ask(.closeDoor) { .closeForward($0, forward.mux) }
            forward.listener.remove()
        }
        for door in doors.values { close(door) }
        let deadline = Tick.current() + Self.farewell
        do throws(Ending) {
            while true {
                if !said.isEmpty {
                    guard let sent = found.control.send(said[...]) else { break }
                    said.removeFirst(sent)
                }
                // What is asked for yet it would make behind us.
                guard !asked.isEmpty else { break }
                let control = found.control.descriptor
                let ready = Wait.forEither(
                    reading: [control], writing: said.isEmpty ? [] : [control], until: deadline)
                guard !ready.isEmpty else { break }
                try hearMaster()
            }
        } catch { /* It has gone: nothing is left to say. */  }
        for number in 0..<socketsMade { _ = unsafe unlink("\(directory.path)/\(number + 1)") }
        // Now: the process may end before the last reference goes.
        directory.remove()
    }

    // MARK: Doors

    /// A channel that the link asks for goes through the door to its target.
    mutating func open(_ channel: ChannelNumber) {
        let target: MuxForward.End
        switch engine.openRequest(channel) {
        case .directTCPIP(let host, let port, _, _): target = MuxForward.End(host: host, port: port)
        case .directStreamLocal(let path): target = MuxForward.End(host: path, port: nil)
        case .forwardedTCPIP, .forwardedStreamLocal:
            return engine.refuse(channel, .administrativelyProhibited, words: "no server opens that")
        }
        do throws(IOError) {
            if doors[target] == nil {
                let door = try MasterDoor(to: target, at: nextPath())
                doors[target] = door
                ask(.door(target)) { .openForward($0, door.mux) }
            }
            doors[target]?.waiting.append((channel, .current()))
            enter(target)
        } catch {
            engine.refuse(channel, .connectFailed, words: "no socket for a running master to listen on: \(error)")
        }
    }

    /// Those that wait go through, as far as the master's queue has room.
    mutating func enter(_ target: MuxForward.End) {
        guard let door = doors[target], door.stands else { return }
        var left = door.waiting[...]
        while let next = left.first {
            do throws(IOError) {
                guard let stream = try ControlStream.connect(to: door.address) else {
                    guard next.since + Self.patience < .current() else { break }
                    throw IOError(EAGAIN, "connect")
                }
                left.removeFirst()
                doors[target]?.flows += 1
                flows[next.channel] = MasterFlow(next.channel, stream, door: target)
                engine.accept(next.channel)
            } catch {
                left.removeFirst()
                engine.refuse(next.channel, .connectFailed, words: "the running master: \(error)")
            }
        }
        doors[target]?.waiting = Array(left)
    }

    /// One flow less goes through it.
    mutating func leave(_ target: MuxForward.End) {
        doors[target]?.flows -= 1
        guard doors.count > Self.mostIdleDoors, let door = doors[target], door.flows == 0, door.waiting.isEmpty else {
            return
        }
        doors[target] = nil
        close(door)
    }

    private mutating func close(_ door: MasterDoor) {
        ask(.closeDoor) { .closeForward($0, door.mux) }
        _ = unsafe unlink(door.path)
    }

    // MARK: Ports at the server

    mutating func change(_ number: PeerForwardNumber) {
        let wanted = engine.forwardRequest(number)
        switch wanted.action {
        case .listen:
            guard forwards.count + asked.count < Self.mostForwards + Self.mostFlows else {
                return engine.refuseForward(number)
            }
            do throws(IOError) {
                let forward = try MasterForward(wanted.request, at: nextPath())
                ask(.listen(number, forward)) { .openForward($0, forward.mux) }
            } catch {
                journal.error("no socket for a running master to connect to: \(error)")
                engine.refuseForward(number)
            }
        case .cancel:
            guard let index = forwards.firstIndex(where: { $0.isMeant(by: wanted.request) }) else {
                return engine.refuseForward(number)
            }
            let forward = forwards.remove(at: index)
            forward.listener.remove()
            ask(.unlisten(number)) { .closeForward($0, forward.mux) }
        }
    }

    private mutating func stand(_ number: PeerForwardNumber, _ forward: MasterForward, port: UInt16) {
        var standing = forward
        standing.port = port
        forwards.append(standing)
        engine.acceptForward(number, port: port)
    }
}
