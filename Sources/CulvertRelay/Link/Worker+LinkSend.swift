internal import CulvertIO
internal import CulvertSSH
internal import Glibc

/// Bytes out: payload is pulled from the sockets in the order of the link's queue, sealed, and sent.
extension Worker where Driver: ~Copyable, Engine: ~Copyable {
    static var slotLength: Int { 32 * 1024 }

    /// The link has work: it is pumped in this turn, or at once in the next.
    mutating func wake(_ link: LinkSlot) {
        guard !links[link].isReady else { return }
        links[link].isReady = true
        ready.append(link)
    }

    mutating func flowReadable(_ flow: FlowID) {
        guard flows[flow].phase == .open, flows[flow].ends.reads, !flows[flow].awaitsWindow else { return }
        let link = flows[flow].link
        links[link].queue.add(flow, &flows[flow].standing)
        wake(link)
    }

    mutating func windowOpened(_ flow: FlowID) {
        guard flows[flow].awaitsWindow else { return }
        flows[flow].awaitsWindow = false
        links[flows[flow].link].blockedFlows -= 1
        if flows[flow].phase == .greeting { return queueAnswer(flow) }
        flowReadable(flow)
    }

    mutating func pumpLinks() {
        for _ in 0..<ready.count {
            guard let link = ready.takeFirst() else { return }
            // It may have ended since.
            guard links.contains(link) else { continue }
            links[link].isReady = false
            guard links[link].end == nil else { continue }
            if links[link].needsEvents { processReceived(link) }
            if links[link].end == nil { pump(link) }
        }
    }

    /// What became of a flow's turn.
    enum Turn {
        case over
        /// The engine has no room before its output has left.
        case outputIsFull
    }

    /// Pulls and seals payload, flow by flow, and sends what many flows gave in one go, until the socket is full,
    /// nothing is left, or others should have their turn.
    @inline(never)
    mutating func pump(_ link: LinkSlot) {
        var budget = Self.receiveBudget
        guard !links[link].awaitsWritable else { return }
        while true {
            var isFull = false
            while !isFull, sealable(link) >= Self.slotLength, let flow = links[link].queue.takeFirst() {
                guard flows.contains(flow), flows[flow].end == nil else { continue }
                guard flows[flow].standing != .goingRound else {
                    flows[flow].standing = .idle
                    continue
                }
                let before = flows[flow].sent
                let turn = flows[flow].phase == .open ? pull(flow, link) : pullAnswer(flow, link)
                budget -= Int(flows[flow].sent &- before)
                isFull = turn == .outputIsFull
            }
            guard links[link].end == nil, flush(link), !links[link].awaitsWritable, !links[link].queue.isEmpty else {
                return
            }
            if budget <= 0 { return wake(link) }
        }
    }

    /// Bytes that may be sealed before some must be sent; none on a link that is over.
    private mutating func sealable(_ link: LinkSlot) -> Int {
        guard links[link].end == nil else { return 0 }
        let waiting = unsafe links[link].engine.output.count
        return links[link].sealAhead.bytes - waiting
    }

    /// One flow's turn.
    private mutating func pull(_ flow: FlowID, _ link: LinkSlot) -> Turn {
        guard let socket = flows[flow].socket else { preconditionFailure("an open flow has a socket") }
        let channel = flows[flow].channel
        let isOwed = flows[flow].standing == .backlogged && links[link].queue.isOwed
        let share = links[link].sealAhead.bytes / (links[link].queue.count + 1)
        var allowance = min(sealable(link), isOwed ? FlowQueue.quantum : max(FlowQueue.quantum, share))
        let begun = allowance
        while allowance > 0 {
            let wanted = min(allowance, isOwed ? Self.slotLength : flows[flow].batch * Self.slotLength)
            let slots = links[link].engine.reserve(channel, maximum: wanted)
            guard slots.count > 0 else {
                let isFull = unsafe !links[link].engine.output.isEmpty
                if isFull {
                    links[link].queue.putBack(flow, flows[flow].standing, sent: begun - allowance)
                    return .outputIsFull
                }
                blockOnWindow(flow)
                return .over
            }
            let count = unsafe driver.receive(
                socket, into: slots.first!, stride: slots.stride, slotLength: slots.slotLength,
                lastLength: slots.lastLength, count: slots.count)
            do throws(SSHError) { try links[link].engine.commit(channel, count: max(0, count)) } catch {
                end(link, .lost(error.description))
                return .over
            }
            guard count > 0 else {
                turnEnded(flow, link, sent: begun - allowance, hasMore: false)
                sourceStopped(flow, link, count)
                return .over
            }
            flows[flow].sent &+= UInt64(count)
            links[link].rest.sent(now: driver.now)
            allowance -= count
            if count < slots.totalLength {
                // Nothing more for now, most likely: the next readiness will tell.
                if count * 4 < slots.totalLength { flows[flow].batch = max(1, flows[flow].batch / 4) }
                turnEnded(flow, link, sent: begun - allowance, hasMore: false)
                driver.awaitReadable(socket, Token(.flowRead, flow))
                return .over
            }
            if flows[flow].batch * Self.slotLength == wanted || wanted == allowance + count {
                flows[flow].batch = min(PayloadSlots.maximumCount, flows[flow].batch * 4)
            }
        }
        turnEnded(flow, link, sent: begun, hasMore: true)
        return .over
    }

    private mutating func turnEnded(_ flow: FlowID, _ link: LinkSlot, sent: Int, hasMore: Bool) {
        links[link].queue.turnEnded(flow, &flows[flow].standing, sent: sent, hasMore: hasMore)
    }

    /// Not in the queue until the engine says that there is room again.
    mutating func blockOnWindow(_ flow: FlowID) {
        let link = flows[flow].link
        links[link].queue.forget(&flows[flow].standing)
        flows[flow].awaitsWindow = true
        links[link].blockedFlows += 1
        startSweeping()
    }

    /// The socket had nothing (-EAGAIN), has ended (0), or has failed.
    private mutating func sourceStopped(_ flow: FlowID, _ link: LinkSlot, _ result: Int) {
        if result == -Int(EAGAIN) {
            guard let socket = flows[flow].socket else { return }
            return driver.awaitReadable(socket, Token(.flowRead, flow))
        }
        if result == 0 {
            if flows[flow].ends.sourceFinished() { links[link].engine.finish(flows[flow].channel) }
            startSweeping()
        } else {
            flows[flow].ends.sourceFailed()
        }
        proceed(flow)
    }

    /// Sends the engine's output until it is empty or the socket is full. Returns false when the link is over by it.
    mutating func flush(_ link: LinkSlot) -> Bool {
        guard !links[link].awaitsWritable else { return true }
        while true {
            let output = unsafe links[link].engine.output
            guard unsafe !output.isEmpty else { return true }
            let sent = unsafe driver.send(links[link].descriptor, output.baseAddress!, count: output.count)
            guard sent >= 0 || sent == -Int(EAGAIN) else {
                readRest(link)
                end(link, .lost(errorText(-Int32(sent))))
                return false
            }
            let count = max(0, sent)
            links[link].engine.outputSent(count)
            links[link].bytesSent &+= UInt64(count)
            if count > 0 { links[link].acknowledgement.sent() }
            // What was sent may have brought a key to its limit.
            watchExchange(link)
            // An engine may have waited for room in its output to say that all may send again.
            if links[link].blockedFlows > 0 {
                links[link].needsEvents = true
                wake(link)
            }
            let isFull = count < output.count
            if links[link].sealAhead.sent(count, isFull: isFull, now: driver.now) {
                SocketOption.setNotSentLowWater(links[link].descriptor, bytes: links[link].sealAhead.bytes)
            }
            if isFull {
                links[link].awaitsWritable = true
                driver.awaitWritable(links[link].descriptor, Token(.linkWrite, link))
                return true
            }
        }
    }
}
