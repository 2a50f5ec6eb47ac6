internal import CCrypto

/// A group of integers modulo a prime, for a key exchange (RFC 4253 §8): magnitudes, big-endian, without zeros in front.
struct DiffieHellmanGroup: Equatable {
    /// Lengths of a prime that are taken, bits: RFC 8270 asks for the least, and more costs more than it is worth. Both are
    /// OpenSSH's limits.
    static let bits = 2048...8192

    let prime: [UInt8]
    let generator: [UInt8]

    /// RFC 3526's group of 2048, 3072, 4096, 6144 or 8192 bits.
    init(bits: Int) {
        prime = unsafe [UInt8](unsafeUninitializedCapacity: bits / 8) { memory, count in
            let isThere = unsafe culvert_dh_prime(Int32(bits), memory.baseAddress!)
            precondition(isThere == 1, "RFC 3526 has a group of \(bits) bits")
            count = bits / 8
        }
        generator = [2]
    }

    /// A group out of the server's hands. Looked at as OpenSSH does: how long the prime is, and that it is odd; then that
    /// what comes of it is a right part (`element`). Whether it is a prime, and the generator one of a large part of it, is
    /// not: to find out would take seconds of calculation for a stranger, and what is gained by a false one is what the
    /// server knows anyway, since its signature covers the group: nobody else can have put it there.
    init(prime: UnsafeRawBufferPointer, generator: UnsafeRawBufferPointer, within range: ClosedRange<Int>)
        throws(SSHError)
    {
        self.prime = unsafe Array(prime)
        self.generator = unsafe Array(generator)
        guard range.contains(length) else {
            throw .exchange(
                "the server's group has \(length) bits, \(range.lowerBound) to \(range.upperBound) are taken")
        }
        guard let last = self.prime.last, last & 1 == 1, isBetween(self.generator) else {
            throw .exchange("the server's group is none")
        }
    }

    /// Of the prime, bits.
    var length: Int { prime.count * 8 - (prime.first?.leadingZeroBitCount ?? 0) }

    /// 1 < number < p - 1: for a magnitude without zeros in front. None of these numbers is a secret.
    private func isBetween(_ number: [UInt8]) -> Bool {
        guard number.count > 1 || number.first.map({ $0 > 1 }) == true else { return false }
        guard number.count == prime.count else { return number.count < prime.count }
        // The prime is odd: p - 1 differs from it in its last bit.
        let last = prime.dropLast() + [prime[prime.count - 1] - 1]
        return number.lexicographicallyPrecedes(last)
    }

    /// The number of a peer's part, the content of an `mpint`: e or f. Numbers that give the secret away are refused
    /// (RFC 4253 §8, RFC 4419 §3), and so are those with fewer than four bits that are 1, as in OpenSSH: a logarithm of
    /// them is easily found.
    func element(_ part: [UInt8]) throws(SSHError) -> [UInt8] {
        let number: [UInt8]
        do throws(SSHError) {
            number = try unsafe part.withUnsafeBufferPointer { bytes throws(SSHError) in
                unsafe Array(try MPInt.magnitude(UnsafeRawBufferPointer(bytes), of: "the peer's part"))
            }
        } catch { throw .exchange(error.description) }
        guard isBetween(number), number.reduce(0, { $0 + $1.nonzeroBitCount }) >= 4 else {
            throw .exchange("the peer's number gives the secret away")
        }
        return number
    }
}

/// One end's secret exponent in a group, for one exchange, and the number that follows from it: e or f.
struct DiffieHellmanKey {
    /// Bytes of an exponent: twice the 256 bits of strength that the strongest cipher asks for, since finding it takes the
    /// root of as many steps. OpenSSH's are as long, at least.
    static let exponentLength = 64

    let group: DiffieHellmanGroup
    private let exponent: Secret
    /// As an `mpint` has it behind its length.
    let publicPart: [UInt8]

    init(_ group: DiffieHellmanGroup, _ random: inout RandomSource) throws(SSHError) {
        let exponent = unsafe Secret(capacity: Self.exponentLength) { memory in
            unsafe random.fill(memory)
            // Its length is the same always, and so is the time that it takes.
            unsafe memory[0] |= 0x80
            return memory.count
        }
        try self.init(group, exponent: exponent)
    }

    init(_ group: DiffieHellmanGroup, exponent: Secret) throws(SSHError) {
        self.group = group
        self.exponent = exponent
        var power = [UInt8](repeating: 0, count: group.prime.count)
        try unsafe power.withUnsafeMutableBufferPointer { memory throws(SSHError) in
            try unsafe Self.raise(group.generator, to: exponent, group, UnsafeMutableRawBufferPointer(memory))
        }
        publicPart = unsafe power.withUnsafeBytes { unsafe MPInt.content($0) }
        // What the peer would refuse is not sent: it is the doing of a group that is none.
        do throws(SSHError) { _ = try group.element(publicPart) } catch {
            throw .exchange("the group gives the secret away")
        }
    }

    /// K, as it is hashed: an `mpint`.
    func secret(peerPart: [UInt8]) throws(SSHError) -> Secret {
        let base = try group.element(peerPart)
        let power = try unsafe Secret(capacity: group.prime.count) { memory throws(SSHError) in
            try unsafe Self.raise(base, to: exponent, group, memory)
            return memory.count
        }
        return unsafe power.withBytes { unsafe MPInt.encoded($0) }
    }

    private static func raise(
        _ base: [UInt8], to exponent: Secret, _ group: DiffieHellmanGroup, _ memory: UnsafeMutableRawBufferPointer
    ) throws(SSHError) {
        let done = unsafe exponent.withBytes { exponent in
            unsafe culvert_dh_power(
                group.prime, group.prime.count, base, base.count, exponent.baseAddress!, exponent.count,
                memory.baseAddress!)
        }
        switch done {
        case 1: return
        case 0: throw .exchange("the peer's numbers give the secret away")
        default: throw SSHError(.local, "there is no memory for a key exchange")
        }
    }
}
