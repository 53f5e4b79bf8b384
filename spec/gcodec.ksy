# The container of format.md, version 1.0, as a grammar for Kaitai Struct. It reads the structure. It
# cannot check checksums, limits that depend on several fields, whether the index agrees with the
# records, and payloads. Where it differs from format.md, format.md holds.
meta:
  id: gcodec
  title: gcodec container
  file-extension: gcz
  license: Apache-2.0
  ks-version: "0.10"
  endian: le
seq:
  - id: header
    type: file_header
  - id: blocks
    type: block
    repeat: until
    repeat-until: '_.kind == "INDX" or _.kind == "JIDX" or (_.kind == "TENS" and _io.size - _io.pos == 16)'
  - id: footer
    type: footer
  - id: end
    size: 0
    valid:
      expr: _io.eof
types:
  file_header:
    doc: The file header, format.md section 2.
    seq:
      - id: magic
        contents: [0x89, 0x47, 0x43, 0x5a, 0x0d, 0x0a, 0x1a, 0x0a]
      - id: major
        type: u1
        valid: 1
      - id: minor
        type: u1
      - id: required_flags
        type: u1
        valid: 0
      - id: ignorable_flags
        type: u1
      - id: crc
        type: u4
  block:
    doc: |
      A block, format.md section 3. A reader that does not know its type skips it if the first letter
      is lower-case, and refuses the file otherwise.
    seq:
      - id: kind
        type: str
        size: 4
        encoding: ASCII
        valid:
          expr: kind == "META" or kind == "TENS" or kind == "JOIN" or kind == "INDX" or kind == "JIDX" or (kind.substring(0, 1) >= "a" and kind.substring(0, 1) <= "z")
      - id: len_header
        type: u4
        valid:
          max: 0x1000000
      - id: len_body
        type: u8
        valid:
          expr: 'kind == "META" or kind == "INDX" or kind == "JIDX" ? _ == 0 : _ <= 0x3fffffffffffffff'
      - id: header
        size: len_header
        type:
          switch-on: kind
          cases:
            '"META"': json
            '"TENS"': record
            '"JOIN"': joined
            '"INDX"': index
            '"JIDX"': joined_index
      - id: crc
        type: u4
        doc: The crc of everything in the block before it.
      - id: body
        size: len_body
        type:
          switch-on: kind
          cases:
            '"TENS"': payload(header.as<record>)
            '"JOIN"': payload(header.as<joined>.record)
  json:
    doc: The header of META, format.md section 3.1.
    seq:
      - id: text
        type: str
        size-eos: true
        encoding: UTF-8
  record:
    doc: The header of a record, format.md section 3.2.
    seq:
      - id: name
        type: text
      - id: code
        type: varint
      - id: ndim
        type: varint
        valid:
          expr: _.value <= 64
      - id: dims
        type: varint
        repeat: expr
        repeat-expr: ndim.value
      - id: attributes
        type: text
      - id: compressor_id
        type: varint
      - id: payload_version
        type: varint
      - id: guarantee
        type: u1
        enum: guarantee
        valid:
          max: guarantee::pointwise
      - id: bound
        type: f8
        if: guarantee != guarantee::exact
        valid:
          expr: '_ > 0 and (guarantee != guarantee::omega ? _ < 1 : _ <= 1.7976931348623157e308)'
      - id: distortion
        type: f8
        if: guarantee != guarantee::exact
        valid:
          expr: _ >= 0 and _ <= 1.7976931348623157e308
      - id: expected
        type: f8
        if: guarantee == guarantee::omega
        valid:
          expr: _ >= 0 and _ <= 1.7976931348623157e308
      - id: chunk
        type: varint
        doc: The number of values in every chunk except the last.
        valid:
          expr: _.value >= 1 and _.value <= 0x100000
      - id: len_head
        type: varint
        valid:
          expr: _.value <= 0x4000000
      - id: head_crc
        type: u4
      - id: chunks
        type: chunk_entry
        repeat: eos
    instances:
      dtype:
        value: code.value
        enum: dtype
      compressor:
        value: compressor_id.value
        enum: compressor
  chunk_entry:
    seq:
      - id: len
        type: varint
        valid:
          expr: _.value <= 0x2000000
      - id: crc
        type: u4
        doc: The crc of the coded bytes.
      - id: decoded_crc
        type: u4
        doc: The crc of the decoded values as little-endian bytes.
  payload:
    doc: The body of a record. The compressors' pages describe its parts.
    params:
      - id: record
        type: record
    seq:
      - id: head
        size: record.len_head.value
      - id: chunks
        size: record.chunks[_index].len.value
        repeat: expr
        repeat-expr: record.chunks.size
      - id: end
        size: 0
        valid:
          expr: _io.eof
  index:
    doc: The index, format.md section 3.3.
    seq:
      - id: count
        type: varint
      - id: entries
        type: index_entry
        repeat: expr
        repeat-expr: count.value
      - id: end
        size: 0
        valid:
          expr: _io.eof
  index_entry:
    seq:
      - id: name
        type: text
      - id: distance
        type: varint
        doc: The distance of the record's first byte from that of the record before.
  joined:
    doc: The header of JOIN, format.md section 3.7.
    seq:
      - id: len_record
        type: varint
      - id: record
        type: record
        size: len_record.value
      - id: count
        type: varint
        valid:
          expr: _.value >= 2 and _.value <= 0x10000
      - id: tensors
        type: joined_tensor
        repeat: expr
        repeat-expr: count.value
      - id: crcs
        type: u4
        repeat: expr
        repeat-expr: count.value
      - id: end
        size: 0
        valid:
          expr: _io.eof
  joined_tensor:
    seq:
      - id: name
        type: shared_name
      - id: dimensions
        type: varint
        doc: 0 for the shape of the tensor before, else ndim + 1.
        valid:
          expr: _.value <= 65
      - id: dims
        type: varint
        repeat: expr
        repeat-expr: 'dimensions.value == 0 ? 0 : dimensions.value - 1'
  shared_name:
    doc: A name by what it shares with the name before.
    seq:
      - id: first
        type: varint
        doc: How many first bytes are those of the name before.
      - id: last
        type: varint
        doc: How many last bytes are those of the name before.
      - id: len
        type: varint
      - id: between
        size: len.value
  joined_index:
    doc: The index of a file with joined tensors, format.md section 3.7.
    seq:
      - id: count
        type: varint
      - id: entries
        type: joined_index_entry
        repeat: expr
        repeat-expr: count.value
      - id: end
        size: 0
        valid:
          expr: _io.eof
  joined_index_entry:
    seq:
      - id: name
        type: shared_name
      - id: distance
        type: varint
        doc: As in the index, and 0 in the same block.
  footer:
    doc: The footer, format.md section 6.
    seq:
      - id: offset
        type: u8
        doc: Of the index, or of the only record where there is no index.
      - id: crc
        type: u4
      - id: magic
        contents: GCZE
  text:
    seq:
      - id: len
        type: varint
      - id: value
        type: str
        size: len.value
        encoding: UTF-8
  varint:
    doc: Groups of 7 bits, the least significant first, in the fewest bytes possible.
    seq:
      - id: groups
        type: u1
        repeat: until
        repeat-until: _ < 128 or groups.size == 10
      - id: end
        size: 0
        valid:
          expr: groups.last < 128 and (groups.size == 1 or groups.last != 0) and (groups.size < 10 or groups.last == 1)
    instances:
      value:
        value: >-
          (groups[0] & 127)
          + (groups.size > 1 ? (groups[1] & 127) * 0x80 : 0)
          + (groups.size > 2 ? (groups[2] & 127) * 0x4000 : 0)
          + (groups.size > 3 ? (groups[3] & 127) * 0x200000 : 0)
          + (groups.size > 4 ? (groups[4] & 127) * 0x10000000 : 0)
          + (groups.size > 5 ? (groups[5] & 127) * 0x800000000 : 0)
          + (groups.size > 6 ? (groups[6] & 127) * 0x40000000000 : 0)
          + (groups.size > 7 ? (groups[7] & 127) * 0x2000000000000 : 0)
          + (groups.size > 8 ? (groups[8] & 127) * 0x100000000000000 : 0)
          + (groups.size > 9 ? (groups[9] & 127) * 0x8000000000000000 : 0)
enums:
  guarantee:
    0: exact
    1: alpha
    2: omega
    3: pointwise
  dtype:
    1: float16
    2: bfloat16
    3: float32
    4: float64
    5: float8_e4m3fn
    6: float8_e5m2
    7: float8_e3m4
    8: float8_e4m3
    16: int8
    17: int16
    18: int32
    19: int64
    20: uint8
    21: uint16
    22: uint32
    23: uint64
    32: bool
    33: complex64
    34: complex128
    35: float8_e8m0fnu
    36: float8_e4m3fnuz
    37: float8_e5m2fnuz
    38: float4_e2m1fn
  compressor:
    1: lossless
    2: sd
    3: rsd
    4: sc
    5: ecsq
    6: tcq
    7: klt
    8: dither
    9: geometric
    10: structured
    11: delta
