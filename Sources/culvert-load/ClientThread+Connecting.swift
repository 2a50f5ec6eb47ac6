internal import CulvertIO
internal import Glibc

extension ClientThread where Driver: ~Copyable {
    /// Begins connections until enough are under way or all were begun.
    mutating func connectMore() {
        while connecting < Self.connectingAtOnce && Int(nextNumber) < workload.connections {
            connect(nextNumber, address: goodAddress, begun: nil)
            nextNumber += UInt32(workload.threads)
        }
        if connecting == 0 && Int(nextNumber) >= workload.connections { becomeReady() }
    }

    mutating func becomeReady() {
        phase = .waiting
        context.control.post(.ready)
    }

    /// `begun`: when the request that the connection is made for was due.
    mutating func connect(_ number: UInt32, address: Int, begun: UInt64?) {
        var pending = false
        let made = driver.connect(to: workload.target[address], from: nil, pending: &pending)
        guard made >= 0 else {
            if address + 1 < workload.target.count { return connect(number, address: address + 1, begun: begun) }
            result.troubles.add(
                TroubleKind(errorNumber: Int32(-made)),
                "connection \(number) to \(workload.target[address]): \(errorText(Int32(-made)))")
            if begun != nil { result.unanswered += 1 }
            return
        }
        let descriptor = Descriptor(made)
        let slot = connections.insert(
            ClientConnection(workload, number: number, descriptor: descriptor, address: address, now: driver.now))
        if let begun { connections[slot].ask(begun) }
        connecting += 1
        if pending {
            driver.awaitWritable(descriptor, Self.token(.write, slot, connections.generation(slot)))
        } else {
            finishConnecting(slot)
        }
    }

    mutating func finishConnecting(_ slot: Int) {
        connecting -= 1
        let connection = connections[slot]
        let error = driver.connectionError(connection.descriptor)
        guard error == 0 else {
            if connection.address + 1 < workload.target.count, phase != .finishing {
                // The name's next address; only when none takes it is it a trouble.
                connections[slot].begun = MomentQueue()
                close(slot)
                return connect(connection.number, address: connection.address + 1, begun: connection.begun.first)
            }
            let address = workload.target[connection.address]
            let text = errorText(Int32(abs(error)))
            return fail(slot, TroubleKind(errorNumber: Int32(abs(error))), "to \(address): \(text)")
        }
        goodAddress = connection.address
        result.connected += 1
        connections[slot].isConnecting = false
        connections[slot].lastProgress = driver.now
        SocketOption.setNoDelay(connection.descriptor)
        if workload.connectsFirst { live.append(slot) }
        driver.receive(connection.descriptor, Self.token(.read, slot, connections.generation(slot)))
        send(slot)
    }
}
