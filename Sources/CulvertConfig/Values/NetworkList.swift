internal import Glibc

/// A list of networks as `Match localnetwork` takes it: addresses in CIDR form with commas between them. No name is looked
/// up for it.
struct NetworkList {
    /// Why a text is no such list.
    struct Cause: Error {
        let text: String
    }

    private struct Network {
        /// 4 or 16, without bits behind the mask.
        let bytes: [UInt8]
        /// Bits.
        let mask: Int
    }

    private let networks: [Network]

    init(_ text: String) throws(Cause) {
        var networks: [Network] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let halves = part.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            guard let address = halves.first, let bytes = Self.bytes(String(address)) else {
                throw Cause(text: "'\(part)' is no network: give for example 10.0.0.0/8")
            }
            var mask = bytes.count * 8
            if halves.count == 2 {
                guard halves[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let given = Int(halves[1]),
                    given <= mask
                else { throw Cause(text: "'\(part)': the mask is no number of bits from 0 to \(mask)") }
                mask = given
            }
            guard Self.masked(bytes, mask) == bytes else {
                throw Cause(text: "'\(part)': the address has bits behind the mask")
            }
            networks.append(Network(bytes: bytes, mask: mask))
        }
        self.networks = networks
    }

    /// `address`: as the system writes it, perhaps with a zone.
    func contains(_ address: String) -> Bool {
        guard let bytes = Self.bytes(String(address.prefix { $0 != "%" })) else { return false }
        return networks.contains { $0.bytes.count == bytes.count && Self.masked(bytes, $0.mask) == $0.bytes }
    }

    /// nil: not an address.
    private static func bytes(_ address: String) -> [UInt8]? {
        for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: count)
            if unsafe inet_pton(family, address, &bytes) == 1 { return bytes }
        }
        return nil
    }

    private static func masked(_ bytes: [UInt8], _ mask: Int) -> [UInt8] {
        bytes.enumerated().map { index, byte in
            let kept = min(8, max(0, mask - index * 8))
            return kept == 0 ? 0 : byte & (0xff << (8 - kept))
        }
    }
}
