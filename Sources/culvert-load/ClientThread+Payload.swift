internal import CulvertIO
internal import Glibc

extension ClientThread where Driver: ~Copyable {
    // MARK: What is due

    /// Starts a connection's work, when the clock starts.
    mutating func begin(_ slot: Int) {
        connections[slot].mayStart = true
        connections[slot].lastProgress = driver.now
        switch workload.kind {
        case .stream(.up), .stream(.both): connections[slot].target = .max
        case .stream(.down), .churn: break
        case .request, .idle, .vnc, .database:
            for _ in 0..<workload.depth(connections[slot].number) { ask(slot, Tick.current().nanoseconds) }
        }
        send(slot)
    }

    /// One more request, which began at `moment`. It leaves with the next `send`.
    private mutating func ask(_ slot: Int, _ moment: UInt64) {
        if connections[slot].begun.isEmpty { connections[slot].lastProgress = driver.now }
        connections[slot].ask(moment)
    }

    /// A churn has a place without a connection, and a connection to make.
    var hasPlaceToFill: Bool {
        guard workload.kind == .churn, connections.count < places else { return false }
        return !overdue.isEmpty || (phase == .running && schedule == nil)
    }

    /// How many connections of the workload's are this thread's.
    private var places: Int {
        (workload.connections + workload.threads - 1 - number) / workload.threads
    }

    /// Requests and connections whose moment has come.
    mutating func makeDue(_ now: Tick) {
        while var schedule, schedule.next <= now, schedule.next < measureEnd {
            overdue.add(schedule.next.nanoseconds)
            schedule.take()
            self.schedule = schedule
        }
        if workload.kind == .churn {
            if schedule == nil && now < measureEnd {
                for _ in connections.count..<max(places, connections.count) { overdue.add(Tick.current().nanoseconds) }
            }
            return fillPlaces()
        }
        while !overdue.isEmpty && !live.isEmpty {
            nextLive = nextLive + 1 < live.count ? nextLive + 1 : 0
            let slot = live[nextLive]
            ask(slot, overdue.takeFirst())
            send(slot)
        }
    }

    /// Begins connections of a churn that are due, as far as there are places.
    private mutating func fillPlaces() {
        for _ in connections.count..<max(places, connections.count) where !overdue.isEmpty {
            connect(nextNumber, address: goodAddress, begun: overdue.takeFirst())
            nextNumber &+= UInt32(workload.threads)
        }
    }

    /// After the time is over: what was due in it, for as long as a connection may take.
    mutating func serveOverdue(_ now: Tick) {
        if now > measureEnd + workload.timeout { giveUpOverdue() }
        fillPlaces()
    }

    mutating func giveUpOverdue() {
        result.unanswered += UInt64(overdue.count)
        overdue = MomentQueue()
    }

    // MARK: Receiving

    mutating func received(_ slot: Int, _ completion: Completion) {
        connections[slot].lastProgress = driver.now
        if completion.result < 0 {
            let number = Int32(-completion.result)
            return fail(slot, TroubleKind(errorNumber: number), "receiving: \(errorText(number))")
        }
        if completion.result == 0 { return ended(slot) }
        let before = connections[slot].received
        let finding = unsafe connections[slot].take(completion.slot.start!, completion.result)
        total.bytesDown += connections[slot].received - before
        takeAnswers(slot)
        if case .mismatch(let words) = finding { return fail(slot, .mismatch, words) }
        driver.receive(connections[slot].descriptor, Self.token(.read, slot, connections.generation(slot)))
        send(slot)
    }

    private mutating func takeAnswers(_ slot: Int) {
        guard !connections[slot].begun.isEmpty else { return }
        let now = Tick.current().nanoseconds
        var answers = 0
        while let answer = connections[slot].takeAnswer() {
            total.pieces += 1
            guard let began = answer.began else { continue }
            answers += 1
            let isMeasured = began >= measureStart.nanoseconds && began < measureEnd.nanoseconds
            record(answer, Int64(bitPattern: now &- began), isMeasured: isMeasured)
        }
        total.answers += UInt64(answers)
        guard phase == .running, workload.depth(connections[slot].number) > 0 else { return }
        for _ in 0..<answers { ask(slot, now) }
    }

    private mutating func record(_ answer: ClientConnection.Answer, _ latency: Int64, isMeasured: Bool) {
        if answer.isBulk {
            if isMeasured { result.bulkLatencies.record(nanoseconds: latency) }
            return
        }
        if isMeasured {
            result.latencies.record(nanoseconds: latency)
            timeline?.latencies.record(nanoseconds: latency)
        }
        if context.tellsProgress { interval.record(nanoseconds: latency) }
    }

    private mutating func ended(_ slot: Int) {
        guard connections[slot].isFoundRight, connections[slot].begun.isEmpty else {
            let connection = connections[slot]
            return fail(
                slot, .endedEarly, "ended by the far end at offset \(connection.received) down, \(connection.sent) up")
        }
        result.verified += 1
        close(slot)
    }

    // MARK: Sending

    /// Sends the hello and what payload is due, then ends the direction when the run is over.
    mutating func send(_ slot: Int) {
        guard connections[slot].mayStart, !connections[slot].isConnecting, !connections[slot].isAwaitingWritable,
            !connections[slot].isShut
        else { return }
        let descriptor = connections[slot].descriptor
        for turn in 0... {
            let head = connections[slot].hello.count - connections[slot].helloSent
            let left = connections[slot].target - connections[slot].sent
            if head == 0 && left == 0 { return endIfOver(slot) }
            if turn >= LoadThreads.chunksATurn { return awaitWritable(slot) }
            for index in 0..<head {
                let byte = connections[slot].hello[connections[slot].helloSent + index]
                unsafe buffer.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
            }
            let payload = Int(min(left, UInt64(LoadThreads.chunk - head)))
            unsafe connections[slot].up.fill(buffer + head, count: payload, at: connections[slot].sent)
            let sent = unsafe driver.send(descriptor, buffer, count: head + payload)
            if sent == -Int(EAGAIN) { return awaitWritable(slot) }
            guard sent >= 0 else {
                let error = Int32(-sent)
                return fail(slot, TroubleKind(errorNumber: error), "sending: \(errorText(error))")
            }
            let ofHello = min(sent, head)
            connections[slot].helloSent += ofHello
            connections[slot].sent += UInt64(sent - ofHello)
            connections[slot].lastProgress = driver.now
            total.bytesUp += UInt64(sent - ofHello)
            if sent < head + payload { return awaitWritable(slot) }
        }
    }

    private mutating func awaitWritable(_ slot: Int) {
        connections[slot].isAwaitingWritable = true
        driver.awaitWritable(connections[slot].descriptor, Self.token(.write, slot, connections.generation(slot)))
    }

    private mutating func endIfOver(_ slot: Int) {
        guard connections[slot].isStopping, connections[slot].begun.isEmpty, workload.kind != .churn else { return }
        connections[slot].isShut = true
        driver.shutdownWriting(connections[slot].descriptor)
    }
}
