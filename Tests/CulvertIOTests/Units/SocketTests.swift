import CLinux
import Glibc
import Testing

@testable import CulvertIO

@Suite struct SocketAddressTests {
    private func only(_ host: String?, _ port: UInt16, _ family: SocketAddress.Family = .any) throws -> SocketAddress {
        try #require(try SocketAddress.resolve(host: host, port: port, family: family, numeric: true).first)
    }

    @Test func numericAddressesAreWrittenBackAsTheyWere() throws {
        let four = try only("192.0.2.7", 8080)
        #expect(four.description == "192.0.2.7:8080" && four.host == "192.0.2.7" && four.port == 8080)
        #expect(!four.isIPv6 && !four.isUnix)
        let six = try only("2001:db8::1", 443)
        #expect(six.description == "[2001:db8::1]:443" && six.isIPv6)
        #expect(try only("2001:0db8:0:0:0:0:0:1", 443) == six)
        #expect(four != six)
        let other = try only("192.0.2.7", 8081)
        #expect(four != other && Set([four, six, four]).count == 2)
    }

    @Test func theWildcardAndTheFamilies() throws {
        #expect(try only(nil, 5, .ipv4).host == "0.0.0.0")
        #expect(try only(nil, 5, .ipv6).host == "::")
        #expect(throws: ResolveError.self) {
            try SocketAddress.resolve(host: "::1", port: 1, family: .ipv4, numeric: true)
        }
    }

    @Test func aNameThatIsNoNumberIsRefusedWithItsReason() throws {
        let error = #expect(throws: ResolveError.self) {
            try SocketAddress.resolve(host: "no-number.invalid", port: 1, numeric: true)
        }
        #expect(error?.host == "no-number.invalid")
        #expect(error?.description.hasPrefix("Could not resolve hostname no-number.invalid: ") == true)
        #expect(error?.reason.isEmpty == false)
    }

    @Test func unixPathsToTheirLongest() throws {
        let longest = "/" + String(repeating: "a", count: 106)
        #expect(SocketAddress(path: longest)?.host == longest)
        #expect(SocketAddress(path: longest + "b") == nil)
        #expect(SocketAddress(path: "/tmp/x")?.isUnix == true)
        #expect(SocketAddress(path: "/tmp/x")?.description == "/tmp/x")
        #expect(SocketAddress().host == "")
    }

    @Test func listenersOfEveryFamilyAreReached() throws {
        let directory = try temporaryDirectory()
        defer { rmdir(directory) }
        let path = directory + "/socket"
        defer { unlink(path) }
        let places = try [only("127.0.0.1", 0), only("::1", 0), #require(SocketAddress(path: path))]
        for place in places {
            let listener = try place.listen()
            defer { SocketOption.close(listener) }
            let address = try #require(SocketAddress.local(of: listener))
            #expect(address.host == place.host && (place.isUnix || address.port > 0))
            let client = try BlockingSocket.connect(to: address, from: nil, deadline: .current() + .seconds(5))
            #expect(Wait.forReadable([listener], until: .current() + .seconds(5)) == [listener])
            var from = SocketAddress()
            let accepted = culvert_accept(listener, &from.storage)
            #expect(accepted >= 0)
            #expect(from.host == (place.isUnix ? "" : place.host))
            SocketOption.close(accepted)
            _ = consume client
        }
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600, "a Unix socket is its owner's alone")
    }

    @Test func aPortInUseIsAnErrorInWords() throws {
        let listener = try only("127.0.0.1", 0).listen()
        defer { SocketOption.close(listener) }
        let taken = try #require(SocketAddress.local(of: listener))
        let error = #expect(throws: IOError.self) { try taken.listen() }
        #expect(error?.number == EADDRINUSE && error?.description == "listen: Address already in use")
    }
}

@Suite struct BlockingSocketTests {
    @Test func bytesGoThroughAndWaitingEnds() throws {
        let (one, two) = try SocketOption.pair()
        let left = BlockingSocket(adopting: one)
        let right = BlockingSocket(adopting: two)
        let sent = [UInt8](repeating: 5, count: 3_000_000)
        let mailbox = try Mailbox<Int>()
        // `right` is read on another thread, since the socket does not hold all of it.
        let descriptor = right.release()
        try Thread.start(name: "reader") {
            let socket = BlockingSocket(adopting: descriptor)
            var buffer = [UInt8](repeating: 0, count: 65536)
            var total = 0
            while let count = try? buffer.withUnsafeMutableBytes({
                try socket.receive(into: $0, deadline: .current() + .seconds(20))
            }), count > 0 {
                total += count
            }
            mailbox.post(total)
        }
        try sent.withUnsafeBytes { try left.send($0, deadline: .current() + .seconds(20)) }
        _ = culvert_shutdown(left.descriptor, 1)
        _ = Wait.forReadable([mailbox.descriptor], until: .current() + .seconds(20))
        #expect(mailbox.takeAll() == [sent.count])
    }

    @Test func theDeadlineIsAnError() throws {
        let (one, two) = try SocketOption.pair()
        let left = BlockingSocket(adopting: one)
        let right = BlockingSocket(adopting: two)
        var buffer = [UInt8](repeating: 0, count: 10)
        let begin = Tick.current()
        var number: Int32 = 0
        do {
            _ = try buffer.withUnsafeMutableBytes { try left.receive(into: $0, deadline: begin + .milliseconds(20)) }
        } catch { number = (error as? IOError)?.number ?? -1 }
        #expect(number == ETIMEDOUT && Tick.current() >= begin + .milliseconds(20))
        _ = consume right
    }

    @Test func aRefusedConnectionThrows() throws {
        let listener = try SocketAddress.resolve(host: "127.0.0.1", port: 0, numeric: true)[0].listen()
        let address = try #require(SocketAddress.local(of: listener))
        SocketOption.close(listener)
        var number: Int32 = 0
        do {
            _ = try BlockingSocket.connect(to: address, from: nil, deadline: .current() + .seconds(5))
        } catch { number = error.number }
        #expect(number == ECONNREFUSED)
    }

    /// What became of a connection to `host` from `source`: its error number, and how often leave to knock was asked for.
    private func knock(at host: String, from source: String?) throws -> (error: Int32, asked: Int) {
        let address = try SocketAddress.resolve(host: host, port: 1, numeric: true)
        let bound = try source.map { try SocketAddress.resolve(host: $0, port: 0, numeric: true)[0] }
        var asked = 0
        do {
            _ = try BlockingSocket.connect(
                toAnyOf: address, from: bound.map { [$0] } ?? [], deadline: .current() + .seconds(5)
            ) { _, _ in
                asked += 1
                return .granted
            }
            return (0, asked)
        } catch { return (error.number, asked) }
    }

    @Test func anInterfaceHasAddresses() throws {
        let loopback = try SocketAddress.of(interface: "lo")
        #expect(loopback.first?.host == "127.0.0.1" && loopback.count <= 2)
        #expect(try SocketAddress.of(interface: "no-such-interface").isEmpty)
        #expect(
            loopback.first?.at(port: 7)?.description == "127.0.0.1:7" && SocketAddress(path: "/s")?.at(port: 7) == nil)
    }

    @Test func whatSendsNothingIsNoKnock() throws {
        // An address for documentation: no machine has it.
        let away = try knock(at: "127.0.0.1", from: "192.0.2.7")
        #expect(away.error == EADDRNOTAVAIL && away.asked == 0)
        let here = try knock(at: "127.0.0.1", from: "127.0.0.1")
        #expect(here.error == ECONNREFUSED && here.asked == 1)
    }
}

@Suite struct ThreadTests {
    @Test func aPinnedThreadRunsWhereItWasPut() throws {
        let processors = Thread.processors(startingAt: 0)
        #expect(!processors.isEmpty)
        for (offset, processor) in processors.prefix(4).enumerated() {
            #expect(Thread.processors(startingAt: offset).first == processor, "the order turns with the seed")
            #expect(Set(Thread.processors(startingAt: offset)) == Set(processors))
            let mailbox = try Mailbox<Int>()
            try Thread.start(name: "pinned", processor: processor) {
                mailbox.post(Int(culvert_current_processor()))
            }
            #expect(Wait.forReadable([mailbox.descriptor], until: .current() + .seconds(10)) == [mailbox.descriptor])
            #expect(mailbox.takeAll() == [processor])
        }
    }
}

@Suite struct MailboxTests {
    @Test func manyPostersLoseNothing() throws {
        let mailbox = try Mailbox<Int>()
        let posters = 4
        let count = 5000
        for poster in 0..<posters {
            try Thread.start(name: "poster") {
                for message in 0..<count { mailbox.post(poster * count + message) }
            }
        }
        var got: [Int] = []
        let deadline = Tick.current() + .seconds(30)
        while got.count < posters * count {
            try #require(Wait.forReadable([mailbox.descriptor], until: deadline) == [mailbox.descriptor])
            got += mailbox.takeAll()
        }
        #expect(got.sorted() == Array(0..<posters * count))
        for poster in 0..<posters {
            let own = got.filter { $0 / count == poster }
            #expect(own == own.sorted(), "each poster's in order")
        }
        #expect(Wait.forReadable([mailbox.descriptor], until: .current()) == [], "nothing is left to wake for")
        #expect(mailbox.takeAll() == [])
    }
}

func temporaryDirectory() throws -> String {
    var template = Array("/tmp/culvert-io-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Missed("mkdtemp") }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
