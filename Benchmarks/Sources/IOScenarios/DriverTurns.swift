internal import CulvertIO
internal import Glibc
internal import Scenario

/// What a driver does in a turn, by what its sockets have to say. The kernel's part is not counted.
private enum Load: String, CaseIterable {
    /// Nobody has anything: sixteen turns that do not wait.
    case idle
    /// Sixteen sockets are readable.
    case readable
    /// Sixteen sockets have 1 KiB each, which comes into the driver's slots.
    case receive
}

private struct TurnRound<Driver: IODriver & ~Copyable>: ~Copyable, Round {
    private static var count: Int { 16 }
    private static var length: Int { 1024 }
    private var driver: Driver
    private let load: Load
    private var near: [Descriptor] = []
    private var far: [Descriptor] = []
    private let bytes = [UInt8](repeating: 1, count: length)

    init(_ driver: consuming Driver, _ load: Load) throws {
        self.driver = driver
        self.load = load
        for number in 0..<Self.count {
            let (one, other) = try SocketOption.pair()
            near.append(one)
            far.append(other)
            switch load {
            case .idle: self.driver.awaitReadable(one, Token(operation: 1, slot: number, generation: 1))
            case .readable: send(other)
            case .receive: break
            }
        }
    }

    deinit { for descriptor in near + far { SocketOption.close(descriptor) } }

    private func send(_ descriptor: Descriptor) {
        guard Glibc.send(descriptor, bytes, Self.length, Int32(MSG_NOSIGNAL)) == Self.length else {
            giveUp("a socket pair takes no 1 KiB")
        }
    }

    mutating func prepare() {
        if load == .receive { for descriptor in far { send(descriptor) } }
    }

    mutating func run() {
        switch load {
        case .idle:
            for _ in 0..<Self.count {
                turn(until: Tick(nanoseconds: 0))
                guard driver.next() == nil else { giveUp("an idle socket spoke") }
            }
        case .readable:
            for number in 0..<Self.count {
                driver.awaitReadable(near[number], Token(operation: 1, slot: number, generation: 1))
            }
            var seen = 0
            while seen < Self.count {
                turn(until: nil)
                while driver.next() != nil { seen += 1 }
            }
        case .receive:
            for number in 0..<Self.count {
                driver.receive(near[number], Token(operation: 1, slot: number, generation: 1))
            }
            var received = 0
            while received < Self.count * Self.length {
                turn(until: nil)
                while let completion = driver.next() {
                    guard completion.result > 0 else { giveUp("a receive fails: \(completion.result)") }
                    received += completion.result
                    driver.release(completion.slot)
                }
            }
        }
    }

    private mutating func turn(until deadline: Tick?) {
        do throws(IOError) { try driver.turn(until: deadline) } catch { giveUp("a turn fails: \(error)") }
    }
}

let driverTurns =
    Load.allCases.map { load in
        Scenario("turn-epoll-\(load)") { try TurnRound(try EpollDriver(descriptorLimit: 256), load) }
    }
    + Load.allCases.map { load in
        Scenario("turn-uring-\(load)") { try TurnRound(try UringDriver(descriptorLimit: 256), load) }
    }
