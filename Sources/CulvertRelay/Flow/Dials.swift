internal import CulvertIO
internal import Glibc

/// A target that is looked up or dialled for a flow.
struct Dialling {
    /// It stands by then, or is given up.
    let deadline: Tick
    /// nil while its name is looked up.
    fileprivate var dialler: Dialler?
    /// Connections that are being made.
    fileprivate var attempts: [DialID] = []

    init(deadline: Tick) { self.deadline = deadline }

    mutating func begin(_ addresses: [SocketAddress], now: Tick) {
        dialler = Dialler(addresses, now: now, deadline: deadline, failure: EADDRNOTAVAIL)
    }
}

/// One connection that is being made.
struct Dial<Owner>: SlabElement {
    typealias ID = DialID
    let descriptor: Descriptor
    let owner: Owner
}

/// The connections to targets that one worker is making. A leaf: what comes of them is its owner's to act on.
///
/// Invariant: every attempt is named by its owner's `Dialling`, until it has ended.
struct Dials<Owner>: ~Copyable {
    enum Outcome {
        /// Nothing yet: a timer or a completion goes on with it.
        case waits
        case connected(Descriptor)
        /// The error number of the last attempt.
        case failed(Int32)
    }

    private var slab: Slab<Dial<Owner>>
    /// Only descriptors below this are used: whoever connects at the server must not use up what culvert itself needs.
    private let descriptorLimit: Int

    init(capacity: Int, descriptorLimit: Int) {
        slab = Slab(capacity: capacity)
        self.descriptorLimit = descriptorLimit
    }

    var count: Int { slab.count }
    func id(_ token: Token) -> DialID? { slab.id(token) }
    func owner(_ id: DialID) -> Owner { slab[id].owner }

    /// Begins what is due. `step`: the timer that calls again, and that was set for the deadline.
    mutating func proceed<Driver: IODriver & ~Copyable>(
        _ dialling: inout Dialling, _ owner: Owner, step: Token, _ driver: inout Driver, _ timers: inout TimerQueue
    ) -> Outcome {
        if dialling.dialler == nil { return driver.now < dialling.deadline ? .waits : .failed(ETIMEDOUT) }
        while let next = dialling.dialler?.step(driver.now) {
            switch next {
            case .wait(let moment):
                timers.add(moment, step)
                return .waits
            case .failed(let error): return .failed(error)
            case .connect(let address):
                // The eldest goes when there are many: a name may have hundreds of addresses that nobody answers at.
                if dialling.attempts.count >= Dialler.maximumUnderWay {
                    driver.close(slab.remove(dialling.attempts.removeFirst()).descriptor)
                    dialling.dialler?.attemptEnded(nil, now: driver.now)
                }
                var pending = false
                let made = connect(address, &driver, &pending)
                if made >= 0, !pending { return .connected(Descriptor(made)) }
                if made >= 0 {
                    let dial = slab.add(Dial(descriptor: Descriptor(made), owner: owner))
                    dialling.attempts.append(dial)
                    driver.awaitWritable(Descriptor(made), Token(.dialWrite, dial))
                } else {
                    dialling.dialler?.attemptEnded(-Int32(made), now: driver.now)
                }
            }
        }
        return .waits
    }

    private func connect<Driver: IODriver & ~Copyable>(
        _ address: SocketAddress, _ driver: inout Driver, _ pending: inout Bool
    ) -> Int {
        let made = driver.connect(to: address, from: nil, pending: &pending)
        guard made >= 0 else { return made }
        guard made < descriptorLimit, !slab.isFull else {
            driver.close(Descriptor(made))
            return -Int(EMFILE)
        }
        // What dies without an end of its own is reset.
        driver.resetOnClose(Descriptor(made))
        return made
    }

    /// One is made or has failed, and then the next is begun.
    mutating func ended<Driver: IODriver & ~Copyable>(
        _ id: DialID, _ dialling: inout Dialling, step: Token, _ driver: inout Driver, _ timers: inout TimerQueue
    ) -> Outcome {
        let owner = owner(id)
        let descriptor = slab.remove(id).descriptor
        dialling.attempts.removeAll { $0 == id }
        let error = -Int32(driver.connectionError(descriptor))
        if error == 0 { return .connected(descriptor) }
        driver.close(descriptor)
        dialling.dialler?.attemptEnded(error, now: driver.now)
        return proceed(&dialling, owner, step: step, &driver, &timers)
    }

    /// What is still being made is given up.
    mutating func end<Driver: IODriver & ~Copyable>(_ dialling: Dialling?, _ driver: inout Driver) {
        for id in dialling?.attempts ?? [] { driver.close(slab.remove(id).descriptor) }
    }
}
