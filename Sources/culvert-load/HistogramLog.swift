internal import FoundationEssentials

/// A file of latencies, an interval a line, as HdrHistogram's log tools read it: format version 1.3, histograms in the
/// V2 compressed form. Of several workloads each has a tag.
struct HistogramLog {
    private let file: OutputFile

    /// Throws where the file cannot be made.
    init(_ path: String) throws { file = try OutputFile(path) }

    /// `startTime`: seconds since the epoch, to which intervals' times are relative.
    func begin(_ startTime: Double) throws {
        try file.write(
            """
            #[Latencies in nanoseconds, written by culvert-load]
            #[Histogram log format version 1.3]
            #[StartTime: \(Amounts.decimal(startTime, 3)) (seconds since epoch)]
            "StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"

            """)
    }

    func add(_ interval: Timeline.Interval, tag: String?) throws {
        let longest = Double(interval.latencies.longest ?? 0) / 1e6
        let times = [interval.start, interval.seconds, longest].map { Amounts.decimal($0, 3) }
        let fields = (tag.map { ["Tag=" + $0] } ?? []) + times + [Self.encoded(interval.latencies)]
        try file.write(fields.joined(separator: ",") + "\n")
    }

    // MARK: The V2 compressed form

    private static let cookie: UInt32 = 0x1c84_9313
    private static let compressedCookie: UInt32 = 0x1c84_9314

    static func encoded(_ latencies: Latencies) -> String {
        var counts: [UInt8] = []
        var next = 0
        latencies.forEachCount { index, count in
            // Runs of zeros are told by their length, negated.
            if index > next { counts += variableLength(-Int64(index - next)) }
            counts += variableLength(Int64(count))
            next = index + 1
        }
        let payload =
            bigEndian(cookie) + bigEndian(UInt32(counts.count)) + bigEndian(UInt32(0))
            + bigEndian(UInt32(Latencies.digits)) + bigEndian(UInt64(1)) + bigEndian(Latencies.highest)
            + bigEndian((1.0).bitPattern) + counts
        let compressed = stored(payload)
        let bytes = bigEndian(compressedCookie) + bigEndian(UInt32(compressed.count)) + compressed
        return Data(bytes).base64EncodedString()
    }

    /// Sign in the lowest bit, then seven bits a byte from the lowest up; a ninth byte has eight.
    static func variableLength(_ value: Int64) -> [UInt8] {
        var left = UInt64(bitPattern: value << 1 ^ value >> 63)
        var bytes: [UInt8] = []
        while left > 0x7f && bytes.count < 8 {
            bytes.append(UInt8(left & 0x7f) | 0x80)
            left >>= 7
        }
        return bytes + [UInt8(left)]
    }

    /// RFC 1950 and 1951, in blocks that are not compressed: the counts have little left to be compressed.
    static func stored(_ bytes: [UInt8]) -> [UInt8] {
        let longest = 65_535
        var made: [UInt8] = [0x78, 0x01]
        var start = 0
        repeat {
            let end = min(bytes.count, start + longest)
            let length = UInt16(end - start)
            made += [end == bytes.count ? 1 : 0] + length.littleEndianBytes + (~length).littleEndianBytes
            made += bytes[start..<end]
            start = end
        } while start < bytes.count
        var (low, high): (UInt32, UInt32) = (1, 0)
        for byte in bytes {
            low = (low + UInt32(byte)) % 65_521
            high = (high + low) % 65_521
        }
        return made + bigEndian(high << 16 | low)
    }

    private static func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] { value.littleEndianBytes.reversed() }
}
