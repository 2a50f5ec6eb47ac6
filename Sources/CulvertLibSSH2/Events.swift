internal import CLibSSH2
public import CulvertSSH

/// Events that are not payload, in order. Reuses its memory.
struct EventQueue {
    private var list: [EngineEvent] = []
    private var head = 0

    var isEmpty: Bool { head == list.count }

    mutating func append(_ event: EngineEvent) { list.append(event) }

    mutating func next() -> EngineEvent? {
        guard head < list.count else { return nil }
        let event = list[head]
        head += 1
        if head == list.count {
            list.removeAll(keepingCapacity: true)
            head = 0
        }
        return event
    }

    /// No event names a channel that the caller has closed.
    mutating func drop(_ channel: ChannelNumber) {
        keep { event in
            switch event {
            case .payload(let number, _), .opened(let number), .openRefused(let number, _), .openRequested(let number),
                .sendable(let number), .ended(let number), .closed(let number, _), .violated(let number):
                number != channel
            case .allSendable, .forwardAnswered, .forwardRequested, .commandRefused, .probeAnswered, .hostKeysOffered,
                .hostKeyProofAnswered:
                true
            }
        }
    }

    mutating func drop(_ forward: ForwardNumber) {
        keep { event in
            switch event {
            case .forwardAnswered(let number, _, _): number != forward
            case .payload, .opened, .openRefused, .openRequested, .sendable, .ended, .closed, .violated, .allSendable,
                .forwardRequested, .commandRefused, .probeAnswered, .hostKeysOffered, .hostKeyProofAnswered:
                true
            }
        }
    }

    private mutating func keep(_ condition: (EngineEvent) -> Bool) {
        guard !isEmpty else { return }
        list.removeFirst(head)
        head = 0
        list.removeAll { !condition($0) }
    }
}

extension LibSSH2Engine {
    public mutating func nextEvent() throws(SSHError) -> EngineEvent? {
        if let failure { throw failure }
        precondition(login.isDone, "events come after the login")
        if let event = nextQueued() { return event }
        if outputWasFull { findSendable() }
        if unsafe asked || seen != wire.pointee.takenTotal || !wire.pointee.exhausted { try beginTurn() }
        while events.isEmpty {
            guard let payload = try readNext() else { break }
            return payload
        }
        return nextQueued()
    }

    /// The number of a channel that was refused is free once the caller has been told, and one that is violated is closed
    /// then.
    private mutating func nextQueued() -> EngineEvent? {
        let event = events.next()
        if case .openRefused(let channel, _) = event, channels[channel.index].phase == .refused {
            freeNumber(channel.value)
        }
        if case .violated(let channel) = event { close(channel) }
        return event
    }

    /// Lets libssh2 decode everything that is lent, then finishes what waited for it.
    private mutating func beginTurn() throws(SSHError) {
        asked = false
        unsafe wire.pointee.bite = hasSilentReader ? Int.max : Wire.smallBite
        try pump()
        try drain()
        try acceptForwarded()
        try pump()
        // Some calls make another error of it, or a refusal of one channel.
        if unsafe wire.pointee.fault != nil { throw end(error(0)) }
        findSendable()
        unsafe seen = wire.pointee.takenTotal
        turn &+= 1
    }

    /// Something of libssh2's reads its input and sends nothing.
    private var hasSilentReader: Bool {
        forwards.contains { $0.phase == .listening } || channels.contains { unsafe $0.handle != nil }
    }

    /// libssh2 reads its input only inside a call for some channel, listener or answer. Whichever there is is used;
    /// where there is none, a probe makes one. Its answer ends it, and must not be the reason for the next.
    private mutating func drain() throws(SSHError) {
        var idleRounds = 0
        while unsafe !wire.pointee.isDecoded() {
            let before = unsafe wire.pointee.takenTotal
            try drainOnce()
            // Each round decodes something or asks for more; two that do neither wait for what is yet to come.
            idleRounds = unsafe wire.pointee.takenTotal == before ? idleRounds + 1 : 0
            if idleRounds > channels.count + 4 { return }
        }
    }

    private mutating func drainOnce() throws(SSHError) {
        if !opens.isEmpty { return try pumpOpens() }
        if !forwardQueue.isEmpty { return try pumpForwards() }
        for index in forwards.indices where forwards[index].phase == .listening { return try acceptForwarded() }
        for index in channels.indices {
            guard let handle = unsafe channels[index].handle else { continue }
            let result: Int32
            switch channels[index].phase {
            case .open, .requested:
                // Neither of them touches the window. The first stops at the EOF of its channel, the second at CLOSE.
                let eof = unsafe libssh2_channel_wait_eof(handle)
                result = eof == 0 ? unsafe libssh2_channel_wait_closed(handle) : eof
            case .closing:
                return try pumpControls()
            case .free, .opening, .abandoned, .refused:
                continue
            }
            if result == 0 { continue }
            guard result == LIBSSH2_ERROR_EAGAIN else { throw end(error(result)) }
            return
        }
        opens.append(PendingOpen.probe())
        try pumpOpens()
    }

    // MARK: Reading

    /// The next payload, round robin, one event a channel; or nil when no channel has any. Events of EOF and CLOSE go
    /// to the queue.
    ///
    /// libssh2 does not say for whom a packet came, so each turn asks every open channel once: about 0.1 µs for an idle
    /// one up to a few hundred channels, more when their state leaves the cache.
    private mutating func readNext() throws(SSHError) -> EngineEvent? {
        for _ in 0..<channels.count {
            if cursor >= channels.count { cursor = 0 }
            let index = cursor
            cursor += 1
            guard channels[index].phase == .open, channels[index].emptyTurn != turn, !channels[index].closed,
                !channels[index].violated,
                channels[index].uncredited < Self.uncreditedLimit, let handle = unsafe channels[index].handle
            else { continue }
            if let payload = unsafe try read(index, handle) { return payload }
            if !events.isEmpty { return nil }
        }
        return nil
    }

    private mutating func read(_ index: Int, _ handle: OpaquePointer) throws(SSHError) -> EngineEvent? {
        let number = ChannelNumber(UInt32(index))
        if !channels[index].ended {
            let result = unsafe libssh2_channel_read_ex(
                handle, 0, readScratch.assumingMemoryBound(to: CChar.self), Self.readLength)
            if result > 0 {
                channels[index].uncredited += result
                return unsafe .payload(number, Payload(start: readScratch, count: result))
            }
            guard result == 0, unsafe libssh2_channel_eof(handle) == 1 else {
                guard result == 0 || result == Int(LIBSSH2_ERROR_EAGAIN) else { throw end(error(Int32(result))) }
                channels[index].emptyTurn = turn
                return nil
            }
            channels[index].ended = true
        }
        unsafe try readEnd(number, handle)
        return nil
    }

    /// The channel has no payload left. libssh2 sets its mark of EOF at CLOSE too, so a peer that closes without EOF is
    /// not told apart from one that sends both; OpenSSH's always sends both.
    private mutating func readEnd(_ number: ChannelNumber, _ handle: OpaquePointer) throws(SSHError) {
        let result = unsafe libssh2_channel_wait_closed(handle)
        guard result == 0 || result == LIBSSH2_ERROR_EAGAIN else { throw end(error(result)) }
        if !channels[number.index].endTold {
            channels[number.index].endTold = true
            settledProgress &+= 1
            events.append(.ended(number))
        }
        if result == 0 {
            channels[number.index].closed = true
            settledProgress &+= 1
            events.append(.closed(number, afterEnd: true))
        } else {
            channels[number.index].emptyTurn = turn
        }
    }
}
